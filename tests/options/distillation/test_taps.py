"""Maps by layer name: nested networks, tokens, partners, and what the plan tells of them."""

import keras
import numpy as np
import pytest

from tests.helpers import methods
from tests.helpers.runs import train_digits
from tests.helpers.trainings import phase_of, planned
from tests.helpers.words import config
from tlcli.config.job import train_job
from tlcli.contracts.data import TRAIN
from tlcli.contracts.distillation import Batch, Shapes
from tlcli.distill.attach import accuracy_of, attach
from tlcli.errors import ConfigError
from tlcli.models.graph.trace import taps
from tlcli.options.distillation._maps import bridge_text
from tlcli.training.build import pieces_of

FEW = ("hardware=cpu", "data.images_per_class=4", "batch_size=8", "epochs=1", "calibrate=false",
       "cache=ram")  # fmt: skip
MAPS = ((16, 16, 8), (8, 8, 16), (4, 4, 32))


def shapes(student, teacher):
    return Shapes(4, 8, 0, 0, student, teacher)


@pytest.mark.parametrize(
    ("student", "teacher", "connects", "meets", "text"),
    [
        ((4, 4, 8), (4, 4, 8), True, "teacher", "alike"),
        ((4, 4, 8), (4, 4, 16), True, "teacher", "8 to 16 channels by convolution"),
        ((4, 4, 8), (4, 4, 16), False, "smaller", "channels may differ"),
        ((8, 8, 8), (4, 4, 8), True, "teacher", "student resized to 4x4"),
        ((8, 4, 8), (4, 8, 8), False, "smaller", "averaged to 4x4"),
        ((8, 8, 8), (4, 4, 8), False, "apart", "sizes may differ"),
        (
            (8, 8, 8), (17, 6), True, "teacher",
            "teacher's tokens as 4x4, 8 to 6 channels by convolution, student resized to 4x4",
        ),
        ((16, 8), (4, 4, 8), False, "smaller", "student's tokens as 4x4"),
    ],
)  # fmt: skip
def test_a_bridge_in_words(student, teacher, connects, meets, text):
    assert bridge_text(student, teacher, connects, meets) == text


def test_named_layers_are_all_compared_unless_stages_choose():
    many = methods.make("at", student_layers=["a", "b", "c", "d"])
    four = (*MAPS, (2, 2, 64))
    assert many.indices(four, four) == [(0, 0), (1, 1), (2, 2), (3, 3)]
    chosen = methods.make("at", student_layers=["a", "b", "c", "d"], stages=[-1, 0])
    assert chosen.indices(four, four) == [(3, 3), (0, 0)]
    assert methods.make("at").indices(four, four) == [(1, 1), (2, 2), (3, 3)]


def test_as_many_teachers_layers_as_compared_are_partners_in_order():
    method = methods.make("fitnet", stages=[2, 0], teacher_layers=["x", "y"])
    assert method.indices(MAPS, MAPS[:2]) == [(2, 0), (0, 1)]
    # One more than compared: partners are nearest in size again.
    three = ((4, 4, 3), (16, 16, 5))
    nearest = methods.make("fitnet", stages=[2], teacher_layers=["x", "y"])
    assert nearest.indices(MAPS, three) == [(2, 0)]


def test_partners_give_the_loss_of_their_maps(rng):
    def maps(*sizes):
        return [rng.normal(size=(3, *size)).astype("float32") for size in sizes]

    student, teacher = maps((4, 4, 2), (2, 2, 3)), maps((2, 2, 4), (4, 4, 5))
    found = methods.make("at", stages=[1, 0], teacher_layers=["x", "y"]).loss(
        Batch(None), methods.outputs({"features": student}), methods.outputs({"features": teacher})
    )
    swapped = methods.make("at").loss(
        Batch(None), methods.outputs({"features": student[::-1]}),
        methods.outputs({"features": teacher}),
    )  # fmt: skip
    np.testing.assert_allclose(found, swapped, rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("at", {"student_layers": []}, r"student_layers: got \(\)"),
        ("srrl", {"student_layers": ["a", "b"]}, r"stages: got \('a', 'b'\)"),
        ("sum", {"methods": ["kd"], "teacher_layers": ["a"]}, "teacher_layers: .*no method"),
        (
            "sum", {"methods": [{"name": "at", "student_layers": ["a"]}]},
            r"methods\[0\]\.student_layers: belongs to the sum",
        ),
    ],
)  # fmt: skip
def test_layers_in_the_wrong_place_are_refused(name, changes, message):
    with pytest.raises(ConfigError, match=rf"^distillation\.{message}"):
        methods.make(name, **changes)


def test_a_vector_is_no_map():
    with pytest.raises(ConfigError, match=r"shape \(64,\) is no map"):
        methods.make("at").checked(shapes(((64,),), ((4, 4, 2),)))


def test_a_sum_gives_its_layers_to_methods_on_maps():
    method = methods.make("sum", methods=["kd", "at", "fitnet"], student_layers=["a"])
    assert [m.student_layers for _, m in method.parts[1:]] == [("a",), ("a",)]
    assert len(method.bridges(shapes(MAPS[:1], MAPS[1:2]))) == 2


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    folder = tmp_path_factory.mktemp("taught") / "teacher"
    return train_digits(folder, *FEW, "finetune=linear_probe")


@pytest.fixture(scope="module")
def prepared(teacher):
    """A function of words that gives a training's pieces and its lesson."""

    def made(*words):
        base = (*FEW, "finetune=full", "teacher=run", f"teacher.path={teacher}",
                "teacher.minimum_accuracy=0", "backbone.weights=none")  # fmt: skip
        pieces = pieces_of(train_job(config("train", *base, *words)))
        return pieces, attach(pieces)

    return made


def test_any_layer_is_tapped_and_the_plan_tells_how_maps_meet(prepared):
    _, lesson = prepared(
        "distillation=sum", "distillation.methods=[fitnet,at]",
        "distillation.student_layers=[tiny_block2_conv,tiny_block3_conv]",
        "distillation.teacher_layers=[tiny_block1_conv,tiny_block4_conv]",
    )  # fmt: skip
    lines = [note.text for note in lesson.teacher.plan_notes()[2:]]
    assert lesson.student.taps == ("tiny_block2_conv", "tiny_block3_conv")
    assert lesson.teacher.built.taps == ["tiny_block1_conv", "tiny_block4_conv"]
    assert lines == [
        "tiny_block2_conv 16x16x32, teacher's tiny_block1_conv 32x32x16: "
        "32 to 16 channels by convolution, student resized to 32x32",
        "tiny_block3_conv 8x8x64, teacher's tiny_block4_conv 4x4x64: student resized to 4x4",
        "tiny_block2_conv 16x16x32, teacher's tiny_block1_conv 32x32x16: "
        "channels may differ, averaged to 16x16",
        "tiny_block3_conv 8x8x64, teacher's tiny_block4_conv 4x4x64: averaged to 4x4",
    ]
    # The tapped tensors are those of the layers.
    student = lesson.student.extended.outputs[2:]
    made = [lesson.student.model.get_layer(name).output.shape for name in lesson.student.taps]
    assert [t.shape for t in student] == made
    # A normalisation after it is folded into no convolution that is looked at.
    images = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), np.uint8)
    found = lesson.teacher.outputs({"images": images}).features
    built = lesson.teacher.built
    plain = keras.Model(built.classifier.inputs, taps(built.classifier, built.taps))
    for values, expected in zip(found, plain(images), strict=True):
        np.testing.assert_allclose(values, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            "distillation.student_layers=[tiny_block2_cnv]",
            r"^distillation\.student_layers: tiny_block2_cnv: the model has no such layer\. Did "
            "you mean tiny_block2_conv",
        ),
        (
            "distillation.teacher_layers=[nothing]",
            r"^distillation\.teacher_layers: nothing: the model has no such layer",
        ),
        ("distillation.student_layers=[head_logits]", "is no map"),
    ],
)
def test_a_layer_that_does_not_fit_names_its_place(prepared, words, message):
    with pytest.raises(ConfigError, match=message):
        prepared("distillation=at", words)


def test_stored_outputs_of_other_layers_are_not_used(prepared, tmp_path):
    words = ["distillation=at", f"teacher.cache={tmp_path / 'store'}", "distillation.stages=[-1]"]
    pieces, lesson = prepared(*words, "distillation.teacher_layers=[tiny_block3_conv]")
    assert accuracy_of(pieces, lesson.teacher.built) == lesson.teacher.accuracy
    rows = pieces.manifest.rows(TRAIN)
    lesson.teacher.table(pieces.train_views, rows, 1)
    with pytest.raises(ConfigError, match="differ in: teacher"):
        prepared(*words, "distillation.teacher_layers=[tiny_block3_bn]")


@pytest.mark.slow
def test_tokens_of_a_transformer_and_maps_of_a_convolutional_net_teach_each_other(tmp_path):
    keras_hub = pytest.importorskip("keras_hub")
    folder = tmp_path / "preset"
    keras_hub.models.ViTBackbone(
        image_shape=(32, 32, 3), patch_size=8, num_layers=2, num_heads=2, hidden_dim=16, mlp_dim=32
    ).save_to_preset(str(folder))
    network = ("backbone=hub", f"backbone.preset={folder}", "backbone.preprocessing=tf",
               "image_size=32")  # fmt: skip
    taught = train_digits(tmp_path / "vit", *FEW, *network, "finetune=linear_probe")
    base = [*FEW, "finetune=full", "distillation=fitnet", "distillation.activation=linear",
            "teacher=run", "teacher.minimum_accuracy=0"]  # fmt: skip
    words = [*base, f"teacher.path={taught}", "distillation.student_layers=[tiny_block3_conv]",
             "distillation.teacher_layers=[vit_encoder]"]  # fmt: skip
    check_tokens(train_job(config("train", *words)), "teacher's tokens as 4x4")
    # And the other way about.
    back = train_digits(tmp_path / "tiny", *FEW, "image_size=32", "finetune=linear_probe")
    words = [*base, *network, f"teacher.path={back}",
             "distillation.student_layers=[vit_encoder]"]  # fmt: skip
    check_tokens(train_job(config("train", *words)), "student's tokens as 4x4")


def check_tokens(job, text):
    plan = planned(job)
    assert text in plan.lesson.teacher.plan_notes()[2].text
    assert np.isfinite(phase_of(plan).feed(0, 1)).all()
