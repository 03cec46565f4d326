"""`litehrnet predict`: the joints of the people in pictures, folders of pictures, animations and videos."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import parser as types

if TYPE_CHECKING:
    import numpy as np

    from ..checkpoints import JointSet
    from ..detectors import Detector
    from ..tracking import Box, Tracker
    from ..videos import Film, Frame
    from .models import Runner
    from .outputs import Output
    from .text import Person

HELP = "find people's joints in pictures and videos"
EXAMPLES = """
    litehrnet predict photo.jpg -o out.png                          # the bundled weights, joints drawn
    litehrnet predict photo.jpg --model my.onnx --box 80,20,200,400 # one person, in pixels
    litehrnet predict photos/ --boxes people.json -o drawn/         # every picture in a folder
    litehrnet predict dance.mp4 --detector yolo11n.onnx -o out.mp4  # a video, people found by a detector
    litehrnet predict photo.jpg --model my.onnx --json > out.json   # for programs
    litehrnet predict hand.jpg --model hand.onnx --joints hand.json # other joints than COCO's
"""
LEAST_SCORE = 0.3
PADDING, WHOLE_PADDING = 1.25, 1.0  # a whole photograph has room around its person already
LOW = 0.5  # on people the best joint reached 0.65 to 1; with the input normalised twice 0.13 to 0.41
DETECT_EVERY = 10  # frames


def add_options(parser: types.Parser) -> None:
    """Declare what the command takes."""
    add = parser.add_argument
    add("photos", type=types.file, nargs="+", metavar="PHOTO", help="pictures in any format that Pillow reads, "
        "animations, videos (with the package av), or folders of them")  # fmt: skip
    add("--model", default="litehrnet18", help=f"{types.EXPORTED}, or {types.CHECKPOINT} "
        "(default: litehrnet18)")  # fmt: skip
    add("--box", type=types.box, action="append", metavar="X,Y,W,H", help="a person's box in pixels; can be "
        "repeated (default: the whole photograph)")  # fmt: skip
    add("--boxes", type=types.file, metavar="FILE", help="people's boxes as JSON: a COCO annotation file, names of "
        "pictures with lists of boxes, or what predict --json printed")  # fmt: skip
    add("--detector", type=types.file, metavar="FILE", help="find the people with this exported detector (YOLOX, "
        "YOLOv5 to YOLO11 and later, RTMDet; .onnx or .xml)")  # fmt: skip
    add("--size", type=types.size, metavar="HxW", help="input size, where the model leaves it free")
    add("--precision", choices=types.PRECISIONS, default="float32", help="what the runtime may "
        "compute in (default: float32)")  # fmt: skip
    types.add_device(parser)
    add("--joints", metavar="JOINTS", help="names and bones of the joints: a JSON file (a COCO category or annotation "
        "file, mmpose's dataset_info), or coco, mpii, aic, coco_wholebody, coco_wholebody_hand, coco_wholebody_face "
        "(default: those that the model describes)")  # fmt: skip
    add("--fps", type=types.positive, metavar="N", help="look at this many frames of a video per second (default: all)")
    add("--no-smoothing", action="store_true", help="in videos, give the joints as the network finds them")
    add("-o", "--output", type=types.file, metavar="FILE", help="draw the joints into this picture, animation or "
        "video; for several inputs, a folder")  # fmt: skip
    add("--heatmaps", action="store_true", help="draw the heatmaps, too")
    add("--json", action="store_true", help="print JSON instead of a table: one object, or for several pictures and "
        "for videos one per line")  # fmt: skip
    add("--least-score", type=types.finite, metavar="S", help="draw joints that score at least "
        f"this (default: {LEAST_SCORE})")  # fmt: skip
    add("--overwrite", action="store_true", help="replace an existing file even if it is not a picture")


def run(args: argparse.Namespace) -> int:
    """Find the joints of the people in pictures and videos, print them, and optionally draw them.

    In a video, every person is followed: the box for the next frame is put around the joints, which are smoothed.
    """
    _check(args)
    files = _files(args.photos)
    single = len(files) == 1 and not Path(args.photos[0]).is_dir()
    read = [*files, args.model, *(file for file in (args.joints, args.boxes, args.detector) if file)]
    work = _Work(args, single, read)
    if not single and args.output is not None:
        _check_folder(args.output, files)
    if single:
        work.on(files[0])
        return 0
    work.load()
    failed = 0
    with _folder(args.output):
        for file in files:
            try:
                work.on(file)
            except (OSError, ValueError) as error:
                failed += 1
                print(f"note: {file} is left out: {error}", file=sys.stderr)
        if failed == len(files):
            raise ValueError(f"none of the {len(files)} files gave any joints")
    return 1 if failed else 0


@contextlib.contextmanager
def _folder(output: Path | None) -> Iterator[None]:
    """The folder for drawings; one that is new and stays empty is removed again."""
    if output is None or output.is_dir():
        yield
        return
    output.mkdir()
    try:
        yield
    finally:
        with contextlib.suppress(OSError):  # it holds drawings
            output.rmdir()


def _check_folder(output: Path, files: Sequence[Path]) -> None:
    """Refuse, before any work, a folder that cannot be one, and two drawings of one name in it."""
    from PIL import Image

    from ..videos import VIDEOS

    if not output.is_dir():
        if output.exists():
            raise NotADirectoryError(
                f"cannot write {output}: for several pictures, -o names a folder, and it is a file"
            )
        if output.suffix.lower() in {*Image.registered_extensions(), *VIDEOS}:
            raise ValueError(f"cannot write {output}: for several pictures, -o names a folder, not a picture")
        if not output.absolute().parent.is_dir():
            raise FileNotFoundError(f"cannot write {output}: the folder {output.parent} does not exist")
    names = [file.name for file in files]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ValueError(f"two of the files are called {twice}, and {output} can hold one drawing of that name; "
                         "draw them into different folders")  # fmt: skip


def _check(args: argparse.Namespace) -> None:
    models = [str(word) for word in args.photos if types.kind_by_name(str(word)) and not Path(word).is_dir()]
    if models:
        raise ValueError(f"{models[0]} is a model, not a picture; did you mean --model {models[0]}?")
    ways = [f"--{name}" for name in ("box", "boxes", "detector") if getattr(args, name)]
    if len(ways) > 1:
        raise ValueError(f"{' and '.join(ways)} all say where people are; give one of them")
    for name, what in (("heatmaps", "draws them"), ("least_score", "selects the joints that are drawn")):
        if getattr(args, name) not in (None, False) and not args.output:
            option = f"--{name.replace('_', '-')}"
            raise ValueError(f"{option} {what} into the picture that -o names; add -o FILE")
    args.least_score = LEAST_SCORE if args.least_score is None else args.least_score


def _files(inputs: Sequence[str | Path]) -> list[Path]:
    """The files to read: those named, and in a folder every picture and video by name."""
    from PIL import Image

    from ..files import existing_file

    files: list[Path] = []
    for word in inputs:
        if str(word) and Path(word).is_dir():
            from ..videos import VIDEOS

            endings = {*Image.registered_extensions(), *VIDEOS}
            found = sorted(path for path in Path(word).iterdir() if path.suffix.lower() in endings and path.is_file())
            if not found:
                raise ValueError(f"{word} holds no pictures")
            files += found
        else:
            files.append(existing_file(word))
    return files


class _Work:
    """One call of the command: the model, loaded when the first file has been checked, and what is done to each."""

    def __init__(self, args: argparse.Namespace, single: bool, read: Sequence[str | Path]) -> None:
        self.args, self.single, self.read = args, single, read
        self.model: Runner | None = None
        self.detector: Detector | None = None
        self.boxes: dict[str | None, list[Box]] | None = None
        self.joints: JointSet | None = None
        self.maps: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        self.drawn: set[Path] = set()

    def on(self, file: Path) -> None:
        """Read a file, print the joints of everyone in it, and draw them."""
        from ..videos import open_film
        from .outputs import Output, check_outputs

        film = open_film(file, self.args.fps)
        for option in ("--fps",) * (self.args.fps is not None) + ("--no-smoothing",) * self.args.no_smoothing:
            if not film.moves and self.single:
                raise ValueError(f"{option} is for videos and animations, and {file} is a single picture")
        target = self._target(film)
        outputs = [Output(target, "film" if film.moves else "picture")] if target else []
        check_outputs(outputs, self.read, self.args.overwrite)
        if target in self.drawn:
            raise ValueError(f"its drawing would replace {target}, that of another file")
        if target and not film.moves:
            from .outputs import check_picture

            check_picture(target, film.size)
        self.load()
        self.drawn |= {output.path for output in outputs}
        if film.moves:
            self._film(film, outputs)
        else:
            self._photo(film, outputs)

    def _target(self, film: Film) -> Path | None:
        """Where to draw, and whether frames can go there."""
        from ..videos import ANIMATIONS, VIDEOS

        output: Path | None = self.args.output
        if output is None:
            return None
        if not self.single:
            output = output / film.path.name
            return output if not film.moves or output.suffix.lower() in VIDEOS else output.with_suffix(".gif")
        known = (".gif", ".webp", *VIDEOS)
        if film.moves and output.suffix.lower() not in (*ANIMATIONS, *VIDEOS):
            raise ValueError(f"cannot write {output}: {film.path.name} has many frames; use one of {', '.join(known)}")
        if not film.moves and output.suffix.lower() in VIDEOS:
            raise ValueError(f"cannot write {output}: {film.path.name} is a single picture; use an image "
                             "extension such as .png")  # fmt: skip
        return output

    def load(self) -> None:
        """Open the model, the detector and the file of boxes, once."""
        if self.model is not None:
            return
        from .boxes import read_boxes
        from .models import runner

        if self.args.boxes is not None:
            self.boxes = read_boxes(self.args.boxes)
        if self.args.detector is not None:
            from ..detectors import load_detector

            self.detector = load_detector(self.args.detector)
        self.model = runner(self.args.model, self.args.size, self.args.precision, device=self.args.device)

    # ------------------------------------------------------------------------------------------------ one person

    def _find(self, image: np.ndarray, box: Box, padding: float) -> tuple[np.ndarray, np.ndarray]:
        """Joints (K, 2) in the picture, and their scores (K,)."""
        from ..heatmaps import crop_person, decode, to_image, to_input

        assert self.model is not None
        crop, to_crop = crop_person(image, box, self.model.size, padding)
        heatmaps = self.model.run(to_input(crop))
        places, scores = decode(heatmaps)
        self._name(len(scores[0]))
        if self.args.heatmaps:
            self.maps[len(self.maps)] = heatmaps[0], to_crop
        return to_image(places[0], to_crop), scores[0]

    def _name(self, count: int) -> None:
        from .models import joints_of

        if self.joints is None:
            assert self.model is not None
            self.joints = joints_of(self.model.joints, count, self.args.joints)

    def _boxes_in(self, film: Film, image: np.ndarray) -> tuple[Sequence[Box], float]:
        """Where people are in a picture, and how far their boxes are padded."""
        if self.detector is not None:
            return [found.box for found in self.detector(image)], PADDING
        if self.boxes is not None:
            found = self.boxes.get(film.path.name, self.boxes.get(None))
            if found is None:
                raise ValueError(f"{self.args.boxes} has no boxes for {film.path.name}")
            return found, PADDING
        if self.args.box:
            return self.args.box, PADDING
        return [(0.0, 0.0, float(image.shape[1]), float(image.shape[0]))], WHOLE_PADDING

    def _drawn(self, image: np.ndarray, people: Sequence[Person]) -> np.ndarray:
        from ..images import draw_heatmaps, draw_joints

        for heatmaps, to_crop in self.maps.values():
            image = draw_heatmaps(image, heatmaps, to_crop)
        self.maps.clear()
        if self.joints is None:
            return image
        for person in people:
            image = draw_joints(
                image, person.places, person.scores, self.joints.skeleton, self.joints.names, self.args.least_score
            )
        return image

    # ------------------------------------------------------------------------------------------------ pictures

    def _photo(self, film: Film, outputs: Sequence[Output]) -> None:
        from .outputs import save_picture, writing
        from .terminal import flush
        from .text import Person, as_json, as_line, as_table

        assert self.model is not None
        image = next(film.frames()).image
        boxes, padding = self._boxes_in(film, image)
        people: list[Person] = []
        for box in boxes:
            places, scores = self._find(image, box, padding)
            assert self.joints is not None
            people.append(Person(box, self.joints.names, places, scores))
        skeleton = () if self.joints is None else self.joints.skeleton
        # Printed first, so that the joints are not lost if the picture cannot be written.
        if self.args.json:
            write = as_json if self.single else as_line
            print(write(film.path, self.model.size, people, skeleton))
        else:
            heading = [] if self.single else [f"{film.path}"]
            print("\n".join([*heading, as_table(people) or "nobody was found"]))
        flush()
        for person in people:
            for note in notes(person, image.shape[:2]):
                where = "" if self.single else f"{film.path}: "
                print(f"note: {where}{note}", file=sys.stderr)
        if outputs:
            picture = self._drawn(image, people)
            with writing(outputs) as (temporary,):
                save_picture(picture, temporary)
            print(outputs[0].path, file=sys.stderr if self.args.json else sys.stdout)

    # ------------------------------------------------------------------------------------------------ videos

    def _film(self, film: Film, outputs: Sequence[Output]) -> None:
        from ..tracking import Tracker
        from ..videos import writer
        from .outputs import writing
        from .terminal import counted, flush, say
        from .text import as_line

        assert self.model is not None and film.rate is not None
        padding = WHOLE_PADDING

        def find(image: np.ndarray, box: Box) -> tuple[np.ndarray, np.ndarray]:
            whole = box == (0.0, 0.0, float(image.shape[1]), float(image.shape[0]))
            return self._find(image, box, padding if whole else PADDING)

        tracker = Tracker(find, not self.args.no_smoothing, keep=self.detector is None)
        numbers, lost = 0, 0
        shown: set[int | None] = set()
        with contextlib.ExitStack() as stack:
            add: Callable[[np.ndarray], None] | None = None
            if outputs:
                (temporary,) = stack.enter_context(writing(outputs))
                add = stack.enter_context(writer(temporary, film.rate))
            frames = film.frames()
            if not (self.args.json and sys.stdout.isatty()):  # where the joints show how far it is
                frames = counted(frames, film.count, "frame")
            for number, (frame, seconds) in enumerate(_timed(frames)):
                people = self._frame(film, tracker, number, frame, seconds)
                for event in tracker.events:
                    say(f"note: {film.path.name}, {frame.seconds:.2f} s: {event}")
                if self.args.json:
                    about = {"frame": frame.number, "seconds": round(frame.seconds, 3)}
                    skeleton = () if self.joints is None else self.joints.skeleton
                    print(as_line(film.path, self.model.size, people, skeleton, about))
                if add is not None:
                    add(self._drawn(frame.image, people))
                self.maps.clear()
                numbers, lost = numbers + 1, lost + any(person.lost for person in tracker.people)
                shown.update(person.track for person in people)
        if not self.args.json:
            words = [f"{numbers} frame{'' if numbers == 1 else 's'}", f"{film.rate:g} per second"]
            words.append(f"{len(shown)} {'person' if len(shown) == 1 else 'people'}")
            tail = f"; somebody was lost in {lost} frame{'' if lost == 1 else 's'}" if lost else ""
            print(f"{film.path}: {', '.join(words)}{tail}")
        flush()
        if outputs:
            print(outputs[0].path, file=sys.stderr if self.args.json else sys.stdout)

    def _frame(self, film: Film, tracker: Tracker, number: int, frame: Frame, seconds: float) -> list[Person]:
        from .text import Person

        detect = self.detector is not None and (number % DETECT_EVERY == 0 or not tracker.people)
        if number == 0 or detect or any(person.lost for person in tracker.people if self.detector is not None):
            tracker.add(self._boxes_in(film, frame.image)[0])
        where = {person.number: person.box for person in tracker.people}
        return [
            Person(
                where[person.number],
                [] if self.joints is None else self.joints.names,
                person.places,
                person.scores,
                person.number,
                person.lost,
            )
            for person in tracker.step(frame.image, seconds)
        ]


def _timed(frames: Iterator[Frame]) -> Iterator[tuple[Any, float]]:
    """Each frame with the seconds since the one before."""
    before = 0.0
    for frame in frames:
        yield frame, frame.seconds - before
        before = frame.seconds


def notes(person: Person, size: Sequence[int]) -> list[str]:
    """The reasons to doubt one person's joints, one sentence each."""
    found = []
    x, y, width, height = person.box
    inside = max(0.0, min(x + width, size[1]) - max(x, 0.0)) * max(0.0, min(y + height, size[0]) - max(y, 0.0))
    where = f"box {', '.join(f'{value:g}' for value in person.box)}"
    if inside < 0.5 * width * height:
        found.append(f"{where}: most of it is outside the photograph of {size[0]}x{size[1]} (height x width)")
    if max(person.scores) < LOW:
        found.append(
            f"{where}: no joint scores {LOW} or more; is there one person in the box, and does the model take RGB "
            "with the usual mean and standard deviation?"
        )
    return found
