"""`tl serve` as a process, asked by real clients, and by some that mean no good."""

import base64
import http.client
import io
import json
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import zlib
from collections import Counter
from pathlib import Path

import httpx
import numpy as np
import pytest
import tritonclient.http as triton
from PIL import Image

from tests.helpers.marks import LONG
from tests.helpers.pictures import smooth
from tests.helpers.runs import ROOT, environment
from tests.helpers.serving import served
from tests.helpers.words import checked
from tlcli.commands import export, predict, serve
from tlcli.errors import ConfigError, DataError

TOKEN = "a-token-of-some-length"  # noqa: S105 - of a test


@pytest.fixture(scope="module")
def exports(digits_run, tmp_path_factory):
    """A run with exports of its own: LiteRT and ONNX."""
    run = Path(shutil.copytree(digits_run, tmp_path_factory.mktemp("served") / "run"))
    for name in ("litert", "onnx"):
        assert export.run(checked("export", f"checkpoint={run}", f"format={name}")) == 0
    return run / "export"


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    """Photos: one that is turned, one of a hostile name, and a text."""
    folder = tmp_path_factory.mktemp("photos")
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(smooth(4, 90, 120)).save(folder / "one.jpg", exif=exif)
    Image.fromarray(smooth(5, 40, 30)).save(folder / "<b>&'two.png")
    (folder / "three.png").write_text("no picture")
    return folder


@pytest.fixture(scope="module")
def server(exports, here):
    """A server of one export, with room for little."""
    with served(exports / "litert", "queue=32", "max_pictures=32", "max_body=2", "timeout=1.5",
                cwd=here) as found:  # fmt: skip
        yield found


def forms(*paths):
    return [("images", (path.name, path.read_bytes())) for path in paths]


def test_it_answers_as_predict_does_without_tensorflow(server, exports, here, capsys):
    photos = [here / name for name in ("one.jpg", "<b>&'two.png", "three.png")]
    words = [*map(str, photos), f"checkpoint={exports / 'litert'}", "format=json", "top=3"]
    assert predict.run(checked("predict", *words)) == 1
    ours = json.loads(capsys.readouterr().out)
    found = httpx.post(f"{server.url}/predict?top=3", files=forms(*photos))
    assert found.status_code == 200
    for mine, row in zip(ours, found.json(), strict=True):
        assert mine.pop("path").endswith(row.pop("path"))
        shares = [{t["label"]: t["probability"] for t in one.pop("top", [])} for one in (mine, row)]
        assert shares[1] == pytest.approx(shares[0], abs=1e-5)
        assert mine.pop("probability", 0) == pytest.approx(row.pop("probability", 0), abs=1e-5)
        assert row == mine
    raw = httpx.post(f"{server.url}/predict", content=photos[0].read_bytes(),
                     headers={"content-type": "image/jpeg"})  # fmt: skip
    assert raw.json()[0]["label"] == found.json()[0]["label"]
    assert "ai_edge_litert" in server.libraries()
    assert "tensorflow" not in server.libraries()


def test_a_client_of_triton_infers(server, here):
    client = triton.InferenceServerClient(server.url.removeprefix("http://"))
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("run")
    facts = client.get_model_metadata("run")
    side = facts["inputs"][0]["shape"][1]
    images = np.random.default_rng(0).integers(0, 256, (3, side, side, 3)).astype(np.uint8)
    one = triton.InferInput("images", list(images.shape), "UINT8")
    one.set_data_from_numpy(images)
    found = client.infer("run", [one], model_version=facts["versions"][0])
    shares = found.as_numpy("probabilities")
    assert shares.shape == (3, 5)
    np.testing.assert_allclose(shares.sum(1), 1, atol=1e-5)
    photo = (here / "one.jpg").read_bytes()
    sent = triton.InferInput("encoded", [1], "BYTES")
    sent.set_data_from_numpy(np.array([photo], dtype=np.object_))
    label = client.infer("run", [sent], outputs=[triton.InferRequestedOutput("labels")])
    rows = httpx.post(f"{server.url}/predict", files=forms(here / "one.jpg")).json()
    assert label.as_numpy("labels")[0].decode() == rows[0]["label"]
    with pytest.raises(Exception, match="there is no model"):
        client.infer("none", [one])


def bomb():
    """A PNG of a few kilobytes with 2.5 thousand million pixels."""
    side = 50_000
    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    parts = [(b"IHDR", head), (b"IDAT", zlib.compress(b"\0" * 10_000)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in parts
    )


def test_a_bomb_is_not_decoded(server):
    before = server.resident()
    row = httpx.post(f"{server.url}/predict", files=[("images", ("b.png", bomb()))]).json()[0]
    assert "has more pixels than the limit" in row["error"]
    assert server.resident() - before < 50e6


def answers_of(port, content, wait=10):
    """What comes back for bytes over one connection, until it is closed."""
    with socket.create_connection(("127.0.0.1", port), timeout=wait) as line:
        line.sendall(content)
        line.settimeout(wait)
        found = b""
        while part := line.recv(65536):
            found += part
        return found


def test_a_body_without_end_is_refused_early(server):
    sent = 0

    def endless():
        nonlocal sent
        while sent < 1 << 30:
            sent += 65536
            yield b"x" * 65536

    try:
        code = httpx.post(f"{server.url}/predict", content=endless(),
                          headers={"content-type": "image/png"}).status_code  # fmt: skip
    except httpx.TransportError:
        code = 413  # closed before all was sent
    assert code == 413
    assert sent < 64 << 20
    told = b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Type: image/png\r\n"
    found = answers_of(server.port, told + b"Content-Length: 1000000000\r\n\r\n")
    assert found.startswith(b"HTTP/1.1 413")


def test_slow_clients_are_closed_and_others_are_served(server, here):
    head = b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Type: image/png\r\nContent-Length: 9\r\n"
    lines = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(600)]
    try:
        for line in lines[:300]:
            line.sendall(head)  # the head goes on and on
        for line in lines[300:]:
            line.sendall(head + b"\r\n1")  # the body does
        begun = time.monotonic()
        for _ in range(5):
            assert httpx.post(f"{server.url}/predict", files=forms(here / "one.jpg")).is_success
        assert time.monotonic() - begun < 20
        lines[-1].settimeout(20)
        assert lines[-1].recv(4096).startswith(b"HTTP/1.1 408")
    finally:
        for line in lines:
            line.close()


GARBAGE = (
    b"\0\xff" * 20, b"GET\r\n\r\n", b"POST /predict HTTP/1.1\r\n\r\n",
    b"GET / HTTP/9.9\r\nConnection: close\r\n\r\n",
    b"GET /%ff%00 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
    b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    b"POST /predict HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX: " + b"y" * 100_000 + b"\r\n\r\n",
)  # fmt: skip


def bad_requests(port, count, seed):
    """Ask badly; gives how often each status came."""
    random, codes = np.random.default_rng(seed), Counter()
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    places = ("/predict", "/predict?top=x", "/v2/models/run/infer", "/none", "/v2/models/x/infer")
    kinds = ("multipart/form-data; boundary=x", "image/png", "application/json", "text/html", "")
    for number in range(count):
        body = random.bytes(int(random.integers(0, 300)))
        if number % 3 == 0:
            body = b'--x\r\nContent-Disposition: form-data; name="images"; filename="a"\r\n' + body
        line.request("POST", places[number % 5], body, {"Content-Type": kinds[number % 7 % 5]})
        answer = line.getresponse()
        answer.read()
        codes[answer.status] += 1
    line.close()
    return codes


@pytest.mark.parametrize("count", [300, pytest.param(10_000, marks=LONG)])
def test_bad_requests_are_refused_and_good_ones_answered(server, here, count):
    codes = bad_requests(server.port, count, count)
    assert sum(codes.values()) == count
    assert set(codes) <= {200, 400, 404, 413, 415}
    for content in GARBAGE:
        assert b"500" not in answers_of(server.port, content, 20)[:12]
    assert httpx.post(f"{server.url}/predict", files=forms(here / "one.jpg")).is_success
    assert server.process.poll() is None


def test_overload_is_refused_and_is_over_when_it_ends(server):
    content = io.BytesIO()
    Image.fromarray(smooth(1, 400, 400)).save(content, "PNG")
    files = [("images", ("a.png", content.getvalue()))] * 2
    codes = Counter()

    def ask():
        with httpx.Client() as client:
            for _ in range(3):
                answer = client.post(f"{server.url}/predict", files=files * 4, timeout=60)
                codes[answer.status_code] += 1
                assert answer.status_code == 200 or answer.headers["retry-after"] == "1"

    threads = [threading.Thread(target=ask) for _ in range(16)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert set(codes) == {200, 429}
    assert httpx.post(f"{server.url}/predict", files=files).is_success
    figures = httpx.get(f"{server.url}/metrics").text
    assert "tl_pending_pictures 0.0" in figures


def test_the_end_loses_no_request_that_was_taken(exports, here):
    """Clients that ask on and on get answers or no connection, and never half of one."""
    content = (here / "one.jpg").read_bytes()
    lost, answered = [], Counter()

    def ask(url):
        with httpx.Client(timeout=30) as client:
            while True:
                try:
                    answer = client.post(f"{url}/predict", content=content,
                                         headers={"content-type": "image/jpeg"})  # fmt: skip
                except httpx.ConnectError:
                    return
                except httpx.TransportError as problem:
                    lost.append(repr(problem))
                    return
                answered[answer.status_code] += 1

    with served(exports / "onnx", cwd=here) as one:
        threads = [threading.Thread(target=ask, args=(one.url,)) for _ in range(6)]
        for thread in threads:
            thread.start()
        while sum(answered.values()) < 60:
            time.sleep(0.01)
        code, said = one.stop()
        for thread in threads:
            thread.join()
    assert (code, lost, set(answered)) == (0, [], {200})
    assert "no pictures were left unanswered" in said


def test_a_new_export_is_taken_while_requests_go_on(exports, here, tmp_path):
    place = Path(shutil.copytree(exports / "onnx", tmp_path / "cats"))
    codes, over = Counter(), threading.Event()

    def ask(url):
        with httpx.Client(timeout=30) as client:
            while not over.is_set():
                codes[client.post(f"{url}/predict", files=forms(here / "one.jpg")).status_code] += 1

    with served(f"felis={place}", "reload=0.1", cwd=here) as one:
        (model,) = httpx.get(f"{one.url}/models").json()
        thread = threading.Thread(target=ask, args=(one.url,))
        thread.start()
        place.rename(tmp_path / "old")
        time.sleep(0.2)
        shutil.copytree(exports / "litert", tmp_path / "new")
        (tmp_path / "new").rename(place)
        for _ in range(200):
            (now,) = httpx.get(f"{one.url}/models").json()
            if now["version"] != model["version"]:
                break
            time.sleep(0.05)
        over.set()
        thread.join()
        code, said = one.stop(signal.SIGINT)
    assert (model["name"], model["format"], now["format"]) == ("felis", "onnx", "litert")
    assert (code, set(codes)) == (0, {200})
    assert f"felis, version {now['version']}" in said


def test_a_token_is_wanted_and_never_told(exports, here, tmp_path):
    (tmp_path / "token").write_text(TOKEN + "\n")
    words = (exports / "litert", "host=0.0.0.0", f"token_file={tmp_path / 'token'}")
    with served(*words, cwd=here) as one:
        place = f"http://127.0.0.1:{one.port}/models"
        given = ("none", "Bearer x", f"Bearer {TOKEN}")
        codes = [httpx.get(place, headers={"authorization": g}).status_code for g in given]
        _, said = one.stop()
    assert codes == [401, 401, 200]
    assert TOKEN not in said
    assert "warning" not in said
    with served(exports / "litert", "host=0.0.0.0", cwd=here) as one:
        _, said = one.stop()
    assert "0.0.0.0 is seen by other machines, and no token is asked for" in said


def test_a_port_has_one_owner(server, exports, here):
    words = ["serve", str(exports / "litert"), f"port={server.port}"]
    done = subprocess.run([sys.executable, "-m", "tlcli.cli", *words], cwd=here, check=False,
                          env=environment(), capture_output=True, text=True)  # fmt: skip
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"tl serve: port: 127.0.0.1:{server.port} cannot be listened at")
    assert line.endswith(f"Give another: port={server.port + 1}.")


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["{0}/litert", "{0}/onnx"], "two are named run. Give names: NAME=FOLDER"),
        (["{0}/none"], "none is no finished run and no export"),
        (["a={0}/litert", "a={0}/onnx"], "two are named a"),
        (["a b={0}/litert"], "'a b' is no name of a model"),
        (["{0}/litert", "host=no.such.host.invalid"], "host: no.such.host.invalid"),
        (["{0}/litert", "token_file={0}/litert/labels.txt"], "token_file: holds no token"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_before_anything_listens(exports, words, problem):
    with pytest.raises((ConfigError, DataError)) as told:
        serve.run(checked("serve", *(word.format(exports) for word in words), "port=0"))
    assert problem in str(told.value)
    assert "\n" not in str(told.value)


def test_a_damaged_export_is_refused(exports, tmp_path):
    folder = Path(shutil.copytree(exports / "onnx", tmp_path / "copy"))
    with (folder / "model.onnx").open("ab") as file:
        file.write(b"x")
    with pytest.raises(DataError, match="is not the file that was exported"):
        serve.run(checked("serve", str(folder), "port=0"))


@pytest.mark.slow
def test_a_run_explains_what_it_says(digits_run, here):
    with served(digits_run, cwd=here) as one:
        (model,) = httpx.get(f"{one.url}/models").json()
        rows = httpx.post(f"{one.url}/predict?explain=true", files=forms(here / "one.jpg"),
                          timeout=60).json()  # fmt: skip
    assert (model["format"], model["explains"]) == ("keras", True)
    (row,) = rows
    assert "stranger" in row
    assert row["explanation"]["label"] == row["top"][0]["label"]
    _, _, text = row["explanation"]["picture"].partition(",")
    with Image.open(io.BytesIO(base64.b64decode(text))) as picture:
        assert picture.format == "PNG"
        assert min(picture.size) >= 224


@pytest.mark.slow
def test_requests_made_from_the_document_are_answered_as_it_says(server, tmp_path):
    words = ["run", f"{server.url}/openapi.json", "--checks", "all", "--exclude-checks",
             "positive_data_acceptance", "--phases", "coverage,fuzzing", "--max-examples", "5",
             "--seed", "1", "--no-color", "--request-timeout", "20"]  # fmt: skip
    done = subprocess.run([Path(sys.executable).with_name("schemathesis"), *words], check=False,
                          capture_output=True, text=True, cwd=tmp_path, timeout=300)  # fmt: skip
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]


@pytest.mark.slow
def test_memory_does_not_grow_and_the_measuring_script_runs(exports, here):
    words = [ROOT / "scripts" / "bench" / "serve.py", exports / "litert", here / "one.jpg",
             "--seconds", "3", "--alone", "0.5", "--only", "one"]  # fmt: skip
    done = subprocess.run([sys.executable, *map(str, words)], env=environment(), check=True,
                          capture_output=True, text=True, cwd=here)  # fmt: skip
    told = json.loads(done.stdout)
    assert set(told["one"]["codes"]) == {"200"}
    before, after = told["one"]["memory_mb"]
    assert after - before < 20
    assert set(told["overload"]["sixteen_clients"]) == {"200", "429"}
    assert set(told["overload"]["then_one"]) == {"200"}
