"""Published checkpoints: read without running anything, taken only where they fit exactly."""

import codecs
import io
import json
import os
import pickle
import pickletools
import re
import tracemalloc
import zipfile
from collections import Counter, OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch

from lircdepth_core.errors import InputError
from lircdepth_core.inference.published import load_published
from lircdepth_core.network import Student, Teacher
from lircdepth_core.network.parameters import read_checkpoint
from lircdepth_core.network.pickle_scan import PickleScan

DATA = Path(__file__).parents[1] / "data"


@pytest.fixture(scope="module")
def parameters():
    """Parameters by kind, of the published names and shapes."""
    generator = torch.Generator().manual_seed(0)
    return {
        kind: {
            key: torch.rand(shape, generator=generator) if shape else torch.tensor(5)
            for key, shape in json.loads((DATA / f"{kind}_keys.json").read_text()).items()
        }
        for kind in ("student", "teacher")
    }


def as_published(parameters):
    """A checkpoint with what the published ones hold: a prefix, a NumPy array, an optimiser."""
    return {
        "global_step": 100,
        "model": OrderedDict((f"module.{key}", value) for key, value in parameters.items()),
        "optimizer": {"state": {0: {"exp_avg": torch.ones(3)}}, "param_groups": [{"lr": 5e-5}]},
        "best_eval_measures_higher_better": torch.zeros(3),
        "best_eval_steps": np.zeros(9, dtype=np.int32),
        "best": np.float64(1.5),
    }


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize(("kind", "network"), [("student", Student), ("teacher", Teacher)])
def test_a_published_file_loads_completely(kind, network, zipped, parameters, tmp_path):
    path = tmp_path / "model.pt"
    checkpoint = as_published(parameters[kind])
    torch.save(checkpoint, path, _use_new_zipfile_serialization=zipped)
    loaded = load_published(path, kind)
    assert isinstance(loaded, network)
    assert not loaded.training
    state = loaded.state_dict()
    assert all(torch.equal(state[key], value) for key, value in parameters[kind].items())


@pytest.mark.parametrize("package", ["numpy.core", "numpy._core"])
def test_the_numpy_array_may_be_of_numpy_1_or_2(package, parameters, tmp_path, monkeypatch):
    class Renamed(pickle._Pickler):
        def save_global(self, obj, name=None):
            module = getattr(obj, "__module__", "")
            if module in ("numpy.core.multiarray", "numpy._core.multiarray"):
                self.write(pickle.GLOBAL + f"{package}.multiarray\n{obj.__name__}\n".encode())
                self.memoize(obj)
            else:
                super().save_global(obj, name)

    module = type("renaming_pickle", (), {"Pickler": Renamed, "dump": pickle.dump})
    path = tmp_path / "model.pt"
    torch.save(as_published(parameters["student"]), path, pickle_module=module)
    assert f"{package}.multiarray\n_reconstruct".encode() in path.read_bytes()
    load_published(path, "student")


def test_the_uncertainty_head_stays_untrained_and_says_so(parameters):
    assert load_published(parameters["student"], "student").uncertainty_head.untrained


def test_a_trained_uncertainty_head_is_kept_whole(parameters):
    trained = Student()
    torch.nn.init.ones_(trained.uncertainty_head.answer.weight)
    state = trained.state_dict()
    assert not load_published(state, "student").uncertainty_head.untrained
    del state["uncertainty_head.near.bias"]
    with pytest.raises(InputError, match=r"missing: uncertainty_head\.near\.bias$"):
        load_published(state, "student")


def test_every_key_that_does_not_fit_is_named_in_one_line(parameters, tmp_path):
    changed = dict(parameters["student"])
    lost = ["encoder.base_model.0.0.weight", "decoder.upconv4.7.expansion_layer.1.running_var"]
    for key in lost:
        del changed[key]
    changed |= {"added.one": torch.zeros(1), "added.two": torch.zeros(1)}
    changed["decoder.get_depth.0.weight"] = torch.zeros(2, 32, 3, 3)
    changed["decoder.scale1.0.weight"] = "text"
    torch.save(as_published(changed), tmp_path / "model.pt")
    with pytest.raises(InputError) as error:
        load_published(tmp_path / "model.pt", "student")
    assert str(error.value) == (
        f"{tmp_path / 'model.pt'}: give the parameters of this network; "
        f"missing: {', '.join(lost)}; unexpected: added.one, added.two; wrong shape: "
        "decoder.scale1.0.weight (str instead of 1x32x1x1), "
        "decoder.get_depth.0.weight (2x32x3x3 instead of 1x32x3x3)"
    )


def test_keys_of_several_lines_are_named_in_one():
    with pytest.raises(InputError, match=r"unexpected: an added one, b$") as error:
        load_published({"model": {"an\nadded\r\none": torch.ones(1), "b": 1}}, "student")
    assert "\n" not in str(error.value)


def test_a_teacher_is_no_student(parameters):
    with pytest.raises(InputError) as error:
        load_published(parameters["teacher"], "student")
    named = str(error.value)
    assert all(key in named for key in parameters["teacher"].keys() - parameters["student"].keys())
    assert all(key in named for key in parameters["student"].keys() - parameters["teacher"].keys())


class Payload:
    """Creates a file when unpickled by the book."""

    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return Path.touch, (self.target,)


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_a_file_that_would_run_something_is_refused_and_runs_nothing(zipped, tmp_path):
    target = tmp_path / "touched"
    path = tmp_path / "model.pt"
    torch.save({"model": Payload(target)}, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(InputError, match="refused, it asks for") as error:
        load_published(path, "student")
    assert "\n" not in str(error.value)
    assert not target.exists()

    torch.load(path, weights_only=False)
    assert target.exists(), "the payload must work, or this test shows nothing"


class Reduced:
    """Is pickled as a call."""

    def __init__(self, call, *arguments):
        self.reduced = call, arguments

    def __reduce__(self):
        return self.reduced


def doubled(times: int) -> object:
    value: object = b"0"
    for _ in range(times):
        value = Reduced(codecs.encode, value, "hex_codec")
    return value


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize(
    ("value", "words"),
    [
        (Reduced(bytearray, 200 << 20), "it asks for builtins.bytearray"),
        (doubled(12), "it encodes what are no bytes"),
        (Reduced(codecs.encode, "0", "utf-32"), "it encodes what are no bytes"),
        (Reduced(Counter, "abc"), "it asks for collections.Counter"),
        (
            Reduced(torch._utils._rebuild_meta_tensor_no_storage, torch.int8, (9,), (1,), False),
            "it asks for torch._utils._rebuild_meta_tensor_no_storage",
        ),
    ],
    ids=["zeros", "doubled", "longer", "counter", "meta"],
)
def test_a_small_file_cannot_ask_for_much_memory(value, words, zipped, tmp_path):
    path = tmp_path / "model.pt"
    torch.save({"model": {"a": value}}, path, _use_new_zipfile_serialization=zipped)
    assert path.stat().st_size < 5000
    tracemalloc.start()
    with pytest.raises(InputError, match=re.escape(words)) as error:
        load_published(path, "student")
    assert tracemalloc.get_traced_memory()[1] < 100 << 20
    tracemalloc.stop()
    assert str(path) in str(error.value)
    torch.load(path, weights_only=True)  # allows it, or this test shows nothing


def test_a_packed_file_is_not_unpacked(tmp_path):
    path, packed = tmp_path / "model.pt", tmp_path / "packed.pt"
    torch.save({"model": {"a": torch.zeros(25_000_000)}}, path)
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(packed, "w") as target:
        for member in source.infolist():
            target.writestr(member.filename, source.read(member), zipfile.ZIP_DEFLATED)
    assert packed.stat().st_size < 1_000_000
    with pytest.raises(InputError, match=r"packed\.pt: refused, it would unpack to more"):
        load_published(packed, "student")


@pytest.mark.parametrize(
    "pickled",
    [
        b"\x80\x02c_codecs\nencode\nN0q\x00.",  # POP would put `encode` where a None is expected
        b"\x80\x02c_codecs\nencode\n(uq\x00.",
        b"\x80\x02c_codecs\nencode\nq\x00X\x01\x00\x00\x00aX\x03\x00\x00\x00hex\x86R.",
        b"\x80\x02c_codecs\nencode\nq\x00(h\x00X\x01\x00\x00\x00aK\x01\x86R.",
    ],
)
def test_a_pickle_that_hides_what_it_calls_is_refused(pickled):
    with pytest.raises(InputError, match="refused, "):
        PickleScan(io.BytesIO(pickled))


def stored(pickled: bytes, path: Path, zipped: bool = True) -> Path:
    """A file of one storage, the floats 0 to 3, beside a pickle of one's own.

    In that pickle `%s` stands for a reference to the storage.
    """
    whole = io.BytesIO()
    torch.save(torch.arange(4.0), whole, _use_new_zipfile_serialization=zipped)
    whole.seek(0)
    if zipped:
        with zipfile.ZipFile(whole) as source, zipfile.ZipFile(path, "w") as target:
            for member in source.infolist():
                data = source.read(member)
                if member.filename.endswith("/data.pkl"):
                    data = pickled.replace(b"%s", reference("0"))
                target.writestr(member.filename, data)
        return path
    for _ in range(3):
        pickle.load(whole)
    start = whole.tell()
    texts = [
        argument for code, argument, _ in pickletools.genops(whole) if code.name == "BINUNICODE"
    ]
    (key,) = filter(str.isdigit, texts)
    data = whole.getvalue()
    changed = pickled.replace(b"%s", reference(key, view=b"N"))
    path.write_bytes(data[:start] + changed + data[whole.tell() :])
    return path


def text(value: str) -> bytes:
    return b"X" + len(value).to_bytes(4, "little") + value.encode()


def reference(key: str, items: int = 4, kind: str = "FloatStorage", view: bytes = b"") -> bytes:
    """A pickle's reference to a storage."""
    named = text("storage") + f"ctorch\n{kind}\n".encode() + text(key) + text("cpu")
    return b"(" + named + b"K" + bytes([items]) + view + b"tQ"


def tensor(storage: bytes, offset: int = 0, size: int = 4, stride: int = 1) -> bytes:
    """A pickle of a call that makes a tensor of one dimension."""
    numbers = b"K%cK%c\x85K%c\x85" % (offset, size, stride)
    return b"ctorch._utils\n_rebuild_tensor\n(" + storage + numbers + b"tR"


def model(value: bytes) -> bytes:
    return b"\x80\x02}" + text("a") + value + b"s."


FRESH = b"ctorch.storage\nUntypedStorage\nK@\x85R"  # 64 bytes of memory as it is found
OUTSIDE = [
    (tensor(b"%s", size=5), "a tensor reaches to element 5 of storage '{key}', which has 4"),
    (tensor(b"%s", offset=1), "a tensor reaches to element 5 of storage '{key}', which has 4"),
    (tensor(b"%s", size=3, stride=2), "a tensor reaches to element 5 of storage '{key}'"),
    (tensor(FRESH), "it calls torch.storage.UntypedStorage, which builds no parameter"),
    (
        tensor(b"%s") + b"(%sK\x00K\x40\x85K\x01\x85tb",
        "it puts a tensor on other memory after it was built",
    ),
    (
        b"ctorch._utils\n_rebuild_parameter\n("
        + tensor(b"%s")
        + b"\x89NtR(%sK\x00K\x40\x85K\x01\x85tb",
        "it puts a tensor on other memory after it was built",
    ),
]


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_a_tensor_within_its_storage_loads(zipped, tmp_path):
    """Or the tests of those outside would show nothing."""
    path = stored(model(tensor(b"%s", offset=1, size=2, stride=2)), tmp_path / "a.pt", zipped)
    assert read_checkpoint(path)["a"].tolist() == [1, 3]


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize(("value", "words"), OUTSIDE)
def test_a_tensor_outside_of_what_the_file_stores_is_refused(value, words, zipped, tmp_path):
    path = stored(model(value), tmp_path / "model.pt", zipped)
    with pytest.raises(InputError) as error:
        load_published(path, "student")
    said = str(error.value)
    assert said.startswith(f"{path}: refused, ")
    assert re.search(re.escape(words).replace(r"\{key\}", r"\d+"), said)
    assert "\n" not in said


def test_a_storage_that_is_not_in_the_file_is_refused(tmp_path):
    path = stored(model(tensor(reference("7"))), tmp_path / "model.pt")
    with pytest.raises(InputError, match=r"storage '7' is to have 16 bytes, the file has nothing"):
        read_checkpoint(path)


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_a_storage_shorter_than_the_file_says_is_refused(zipped, tmp_path):
    path = tmp_path / "model.pt"
    torch.save({"a": torch.arange(4.0)}, path, _use_new_zipfile_serialization=zipped)
    values = torch.arange(4.0).numpy().tobytes()
    if zipped:
        packed = tmp_path / "short.pt"
        with zipfile.ZipFile(path) as source, zipfile.ZipFile(packed, "w") as target:
            for member in source.infolist():
                target.writestr(member.filename, source.read(member).replace(values, values[:8]))
        path = packed
    else:
        whole = (4).to_bytes(8, "little") + values
        short = (2).to_bytes(8, "little") + values
        assert whole in path.read_bytes()
        path.write_bytes(path.read_bytes().replace(whole, short))
    with pytest.raises(InputError, match=r"is to have 16 bytes, the file has 8 bytes of it"):
        read_checkpoint(path)


def test_a_storage_that_the_old_format_leaves_out_is_refused(tmp_path):
    path = tmp_path / "model.pt"
    torch.save({"a": torch.arange(4.0)}, path, _use_new_zipfile_serialization=False)
    data = path.read_bytes()
    keys = data.rindex(b"\x80\x02]")
    path.write_bytes(data[:keys] + b"\x80\x02].")
    assert torch.load(path, weights_only=True)["a"].shape == (4,), "of memory as it was found"
    with pytest.raises(InputError, match=r"is to have 16 bytes, the file has nothing of it"):
        read_checkpoint(path)


@pytest.mark.parametrize(
    "other", [reference("0", items=2), reference("0", kind="IntStorage"), reference("0", items=200)]
)
def test_a_storage_has_one_size_and_type(other, tmp_path):
    both = tensor(b"%s") + b"s" + text("b") + tensor(other, size=2)
    path = stored(model(both), tmp_path / "model.pt")
    with pytest.raises(InputError, match=r"it gives storage '0' two sizes or types"):
        read_checkpoint(path)


def test_two_members_of_the_same_name_are_refused(tmp_path):
    path = stored(model(tensor(b"%s")), tmp_path / "model.pt")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("archive/DATA/0", b"")
    with pytest.raises(InputError, match=r"model\.pt: refused, it holds 'data/0' twice"):
        read_checkpoint(path)


def test_a_dictionary_keeps_its_methods(tmp_path):
    value = b"ccollections\nOrderedDict\n)R}" + text("get") + b"Nsb"
    path = stored(b"\x80\x02" + value + b".", tmp_path / "model.pt")
    with pytest.raises(
        InputError, match=r"model\.pt: refused, it gives a dictionary other methods"
    ):
        load_published(path, "student")


def test_a_key_of_tuples_in_tuples_is_refused(tmp_path):
    """Looking it up would take a time that doubles with every tuple."""
    value = b"}" + b"K\x01" + b"q\x00h\x00\x86" * 40 + b"Ns"
    path = stored(b"\x80\x02" + value + b".", tmp_path / "model.pt")
    with pytest.raises(InputError, match=r"a dictionary's key is a tuple of tuples"):
        read_checkpoint(path)


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_what_torch_writes_loads(zipped, tmp_path):
    """A module, its optimiser, views, odd strides, empty tensors and every kind of numbers."""
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
    optimiser = torch.optim.AdamW(network.parameters())
    network(torch.rand(1, 3, 8, 8)).sum().backward()
    optimiser.step()
    base = torch.arange(24.0).reshape(4, 6)
    kinds = (torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)
    kinds += (torch.bfloat16, torch.float16, torch.float32, torch.float64)
    content = {
        "model": network.state_dict(),
        "optimizer": optimiser.state_dict(),
        "parameter": torch.nn.Parameter(torch.ones(2)),
        "views": [base, base.T, base[1:, ::2], base[0].expand(3, 6), base[:0], torch.tensor(1.0)],
        "kinds": [torch.ones(3, dtype=kind) for kind in kinds],
        "empty": torch.zeros(0, 3),
        "scores": [np.arange(3), np.float64(0.5), (1, 2.5, None, True, 1 << 70), {"a": (1, 2)}],
        "size": (base.shape, base.dtype, base.device),
        ("a", 1): "key",
    }
    torch.save(content, tmp_path / "a.pt", _use_new_zipfile_serialization=zipped)
    found = read_checkpoint(tmp_path / "a.pt")
    assert found.keys() == content.keys()
    for name in ("views", "kinds"):
        for got, given in zip(found[name], content[name], strict=True):
            assert got.dtype == given.dtype
            assert torch.equal(got, given)
    assert all(torch.equal(found["model"][k], v) for k, v in content["model"].items())
    first = optimiser.state_dict()["state"][0]["exp_avg"]
    assert torch.equal(found["optimizer"]["state"][0]["exp_avg"], first)


def test_what_has_no_end_is_no_checkpoint(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(InputError, match=rf"{path}: a pipe or a device"):
            load_published(path, "student")
    torch.save({"model": {}}, tmp_path / "model.pt")
    monkeypatch.setattr("lircdepth_core.network.parameters.MAX_CHECKPOINT_BYTES", 100)
    with pytest.raises(InputError, match=r"model\.pt: \d+ bytes, more than 100"):
        load_published(tmp_path / "model.pt", "student")


def test_numpy_values_are_not_built(parameters, tmp_path):
    """NumPy takes raw bytes for object pointers where a pickle says so; here it is not asked."""
    changed = dict(parameters["student"])
    changed["decoder.scale1.0.weight"] = np.zeros((1, 32, 1, 1), np.float32)
    torch.save(as_published(changed), tmp_path / "model.pt")
    with pytest.raises(InputError, match=r"decoder\.scale1\.0\.weight \(NumPyValue instead of"):
        load_published(tmp_path / "model.pt", "student")


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize("kept", [0, 1, 100, 0.5, -1])
def test_a_truncated_file_is_refused(kept, zipped, tmp_path):
    path = tmp_path / "model.pt"
    torch.save(as_published({"a": torch.rand(100)}), path, _use_new_zipfile_serialization=zipped)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * kept) if isinstance(kept, float) else kept])
    with pytest.raises(InputError, match=r"model\.pt: no checkpoint of torch, or a damaged one"):
        load_published(path, "student")


@pytest.mark.parametrize("data", [b"<html>not found</html>", b"PK\x03\x04", bytes(range(256))])
def test_another_file_is_refused(data, tmp_path):
    path = tmp_path / "model.pt"
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"model\.pt: no checkpoint of torch, or a damaged one"):
        load_published(path, "student")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"absent\.pt: No such file"):
        load_published(tmp_path / "absent.pt", "student")


def test_a_directory_is_refused(tmp_path):
    with pytest.raises(InputError, match="Is a directory"):
        load_published(tmp_path, "student")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (torch.zeros(3), "holds a Tensor; give a file with a dict"),
        ({"model": [1, 2]}, "`model` is a list; give a dict"),
    ],
)
def test_a_file_of_something_else_is_refused(content, message, tmp_path):
    torch.save(content, tmp_path / "model.pt")
    with pytest.raises(InputError, match=message):
        load_published(tmp_path / "model.pt", "student")


def test_an_unknown_kind_is_refused():
    with pytest.raises(InputError, match="kind: 'tutor', give one of student, teacher"):
        load_published({}, "tutor")
