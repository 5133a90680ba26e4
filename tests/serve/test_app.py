"""Every route, by a client in this process and a model that computes by hand."""

import base64
import json

import numpy as np
import pytest

from tests.helpers.serving import HOSTILE, LIMITS, SIDE, ask, picture, toy

RAW = {"content-type": "image/png"}


def inference(grey, **changed):
    data = np.full((1, SIDE, SIDE, 3), grey).ravel().tolist()
    one = {"name": "images", "datatype": "UINT8", "shape": [1, SIDE, SIDE, 3], "data": data}
    return {"inputs": [{**one, **changed}]}


def test_pictures_are_named_in_their_order_by_their_names():
    async def work(client, _):
        sent = {HOSTILE[:20]: picture(7), "text": b"no picture", "b.png": picture(255)}
        files = [("images", one) for one in sent.items()]
        return await client.post("/predict", files=files)

    found = ask(work)
    assert found.status_code == 200
    first, second, third = found.json()
    assert first["path"] == HOSTILE[:20]
    assert (first["label"], first["stranger"]) == (HOSTILE, False)
    # What cannot be decoded is told in its row, as `tl predict` tells it.
    assert second == {"path": "text", "error": "is a text, not an image that is read"}
    assert (third["label"], third["stranger"]) == ("light", True)


def test_several_models_by_name():
    async def work(client, _):
        found = [(await client.post(f"/predict{q}", content=picture(1), headers=RAW)).json()
                 for q in ("", "?model=b", "?model=c")]  # fmt: skip
        return [*found, (await client.get("/models")).json()]

    dark = toy(
        "b", row=lambda logits, strange, top: {"label": "other", "probability": 1, "top": []}
    )
    first, second, third, models = ask(work, toy("a"), dark)
    assert (first[0]["label"], second[0]["label"]) == (HOSTILE, "other")
    assert third == {"error": "there is no model 'c'. GET /models lists them."}
    assert [one["name"] for one in models] == ["a", "b"]
    assert models[0]["class_names"][1] == HOSTILE


def test_an_explanation_is_a_picture_of_the_likeliest_class():
    async def work(client, _):
        return await client.post("/predict?explain=true", content=picture(7), headers=RAW)

    told = ask(work).json()[0]["explanation"]
    assert told["label"] == HOSTILE
    start, _, text = told["picture"].partition(",")
    assert start == "data:image/png;base64"
    assert base64.b64decode(text) == b"PNG of \x07\x01"
    refused = ask(work, toy(heat=None))
    assert refused.status_code == 400
    assert "serve its run" in refused.json()["error"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404), ("GET", "/models/", 404), ("GET", "/../etc/passwd", 404),
        ("GET", "/predict", 405), ("POST", "/models", 405), ("OPTIONS", "/predict", 405),
        ("POST", "/predict?top=0", 400), ("POST", "/predict?top=²", 400),
        ("POST", "/predict?top=1&top=2", 400), ("POST", "/predict?explain=1", 400),
        ("POST", "/predict?path=/etc/passwd", 400), ("POST", "/predict", 415),
        ("GET", "/v2/models/none", 404), ("GET", "/v2/models/toy/versions/2", 404),
        ("POST", "/v2/models/toy/infer", 400), ("GET", "/v2/models/toy/infer", 405),
    ],
)  # fmt: skip
def test_a_mistake_is_answered_in_one_line(method, path, status):
    async def work(client, _):
        return await client.request(method, path)

    found = ask(work)
    assert found.status_code == status
    told = found.json()["error"]
    assert told.isprintable()
    assert told.endswith(".")
    assert ("allow" in found.headers) == (status == 405)
    assert "access-control-allow-origin" not in found.headers


def test_hostile_names_never_stand_in_a_header_or_as_they_are_in_a_text():
    async def work(client, _):
        bad = "%0d%0aX-Evil:%201%3Cscript%3E"
        places = (f"/{bad}", f"/v2/models/{bad}", f"/predict?{bad}=1", f"/predict?model={bad}")
        return [await client.post(place) for place in places] + [await client.get(places[1])]

    for found in ask(work):
        assert "x-evil" not in found.headers
        assert found.headers["content-type"] == "application/json"
        assert found.headers["x-content-type-options"] == "nosniff"
        assert "\n" not in found.json()["error"]
        assert b"\n" not in found.content


def test_infer_by_json_and_what_else_is_asked():
    async def work(client, _):
        outputs = [{"name": name} for name in ("labels", "logits", "probabilities")]
        infer = await client.post("/v2/models/toy/infer", json={**inference(51), "id": "a",
                                                                "outputs": outputs})  # fmt: skip
        version = "/models/toy/versions/0123456789ab"
        paths = ("", "/health/live", "/health/ready", "/models/toy", "/models/toy/ready", version,
                 f"{version}/ready")  # fmt: skip
        others = [await client.get(f"/v2{path}") for path in paths]
        return infer.json(), [one.json() for one in others]

    infer, others = ask(work)
    assert (infer["model_name"], infer["model_version"], infer["id"]) == (
        "toy", "0123456789ab", "a",
    )  # fmt: skip
    data = {one["name"]: (one["shape"], one["data"]) for one in infer["outputs"]}
    assert data["logits"] == ([1, 2], [51, 204])
    assert data["probabilities"] == ([1, 2], pytest.approx([0.2, 0.8]))
    # A lone half of a character, which no UTF-8 has, is told as an escape.
    assert data["labels"] == ([1], [HOSTILE])
    assert others[0]["extensions"] == ["binary_tensor_data"]
    assert others[1:3] == [{"live": True}, {"ready": True}]
    assert others[3]["inputs"][0] == {
        "name": "images", "datatype": "UINT8", "shape": [-1, SIDE, SIDE, 3],
    }  # fmt: skip
    assert others[3] == others[5]


def test_more_pictures_than_there_is_room_for():
    async def work(client, service):
        files = [("images", ("a", picture(1)))] * 4
        found = [(await client.post("/predict", files=files)).status_code]
        with service.gate.entered(3):
            found += [(await client.post("/predict", files=some)).status_code
                      for some in (files[:2], files[:1])]  # fmt: skip
        return [*found, (await client.post("/predict", files=files[:3])).status_code]

    assert ask(work) == [413, 429, 200, 200]


def test_a_token_is_asked_for_but_of_page_and_health():
    token = "t" * 16

    async def work(client, _):
        def bearing(text):
            return {"authorization": text}

        return [
            (await client.get(path, headers=headers)).status_code
            for path, headers in (
                ("/", {}), ("/v2/health/ready", {}), ("/models", {}), ("/metrics", {}),
                ("/nothing", {}), ("/models", bearing(f"Basic {token}")),
                ("/models", bearing(f"Bearer {token}x")), ("/models", bearing(f"bearer {token}")),
            )
        ]  # fmt: skip

    assert ask(work, token=token) == [200, 200, 401, 401, 401, 401, 401, 200]


def test_a_fault_of_a_model_is_one_line_and_the_next_request_is_answered(caplog):
    def look(images):
        if images.max() == 1:
            raise RuntimeError("at /secret/place\nline")
        return np.ones((len(images), 2), np.float32), np.ones(len(images))

    async def work(client, _):
        return [
            await client.post("/predict", content=data, headers=RAW)
            for data in (picture(1), picture(2))
        ]

    bad, good = ask(work, toy(look=look))
    assert (bad.status_code, good.status_code) == (500, 200)
    assert "secret" not in bad.text


def test_metrics_count_and_do_not_grow_with_what_clients_invent():
    async def work(client, _):
        for number in range(20):
            await client.get(f"/invented{number}")
            await client.get(f"/v2/models/invented{number}")
        await client.post("/predict", content=picture(1), headers=RAW)
        return await client.get("/metrics")

    found = ask(work)
    assert "invented" not in found.text
    assert 'tl_requests_total{code="404",route="none"} 20.0' in found.text
    assert 'tl_pictures_total{model="toy"} 1.0' in found.text
    assert "tl_pending_pictures 0.0" in found.text


def test_while_it_stops_it_answers_and_sends_clients_elsewhere():
    async def work(client, service):
        service.stopping = True
        ready = await client.get("/v2/health/ready")
        named = await client.post("/predict", content=picture(1), headers=RAW)
        return ready, named

    ready, named = ask(work)
    assert (ready.status_code, named.status_code) == (503, 200)
    assert named.headers["connection"] == "close"


def test_the_document_is_served_with_what_the_server_allows():
    async def work(client, _):
        return (await client.get("/openapi.json")).json()

    found = ask(work, toy("a"), toy("b"))
    form = found["paths"]["/predict"]["post"]["requestBody"]["content"]["multipart/form-data"]
    assert form["schema"]["properties"]["images"]["maxItems"] == LIMITS.max_pictures
    assert '"a", "b"' in json.dumps(found)
