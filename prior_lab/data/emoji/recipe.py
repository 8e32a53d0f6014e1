"""What ``emoji`` is made of: artists, versions of their sets, and every choice that changes a pixel or a split.

The sets are npm packages of Iconify (https://github.com/iconify/icon-sets), which republishes them with one naming; the
groups are those of Unicode's ``emoji-test.txt``.
"""

from dataclasses import dataclass

SIZE = 64
GROUND = (144, 184, 144)
LEVELS = ("group", "subgroup", "artist")
SPLITS = ("train", "validation", "test")
SHARES = (0.68, 0.12, 0.20)
FEWEST_ARTISTS = 4
FEWEST_SEEN = 2  # artists of training who drew a concept: a pair needs two
FEWEST_CONCEPTS = 8
LEFT_OUT_GROUPS = ("Component", "Flags")
LEFT_OUT_SUBGROUPS = ("alphanum", "keycap")
UNICODE_VERSION = "15.0"
UNICODE_SHA256 = "8445f23ac8388e096be19d0262e14fceff856ff52093f2356dc89485f1a853db"
FILES = ("icons.json", "chars.json", "info.json")


@dataclass(frozen=True)
class Artist:
    """Who drew a set, and which version of its package is read.

    Attributes
    ----------
    package : name below ``@iconify-json/`` on npm, and of the folder that holds it.
    sha256 : of ``FILES``, in that order.
    is_held_out : whether training and validation see none of the drawings.
    """

    name: str
    package: str
    version: str
    sha256: tuple[str, str, str]
    is_held_out: bool = False


NO_CHARS = "ca3d163bab055381827226140568f3bef7eaac187cebd76878e0b63e9e442356"
ARTISTS = (
    Artist(
        "noto", "noto", "1.2.9",
        (
            "9eac6ef4e7ec122b6f0e7ac281d61008afdbc720d0ce861e398b939daaa347c6",
            "91485653ca890bff640f2a6c2d7be62d625a90527b6b4d816b41593675bf5c8f",
            "ecc8c96b156cdd30d682a8518f662a2693f1b0e63b14e89c5e8d4e7990b8cb9c",
        ),
    ),
    Artist(
        "noto-v1", "noto-v1", "1.2.5",
        (
            "ce70d8aa90345cf389875c3571ecd245bd943401822a0c5a0f62336bf8487333",
            NO_CHARS,
            "ea8e59076474c52be6c7eb56d9d335eca8032d8373700cc27191d2fe68ce1f29",
        ),
    ),
    Artist(
        "twemoji", "twemoji", "1.2.5",
        (
            "5d5d820790565b764f2728675d487c9ee4c1fc83916d8567d5aca8ba7527c242",
            "8e6a83d5a3ac185b2446154b9c4ee07c983bd4a5b2a21aa4b9ff04af9831eefe",
            "9a7a0a6533a8a43588a463bfa88282620e560eeb2c1f1980ce30ada153358642",
        ),
    ),
    Artist(
        "emojione", "emojione", "1.2.3",
        (
            "e9a865faed523a7c3535b5319ae533d09fac1a62b4e96920eb178bb60e707e80",
            NO_CHARS,
            "a5817a33fa92381a7de4406e10bc42afc9cf76366eab7346062dfd0ecc835d84",
        ),
    ),
    Artist(
        "emojione-v1", "emojione-v1", "1.2.3",
        (
            "7209a500c5607daff4969e5d5ae25da710ab1877c29efec6199d3611a8d5c942",
            NO_CHARS,
            "ac512cb3da4d2e49d6d83ae863fe7af8691aeedcb2566d9f3c6e71f29eda9898",
        ),
    ),
    Artist(
        "fluent", "fluent-emoji-flat", "1.2.6",
        (
            "f5f4cf457c0db2ad5a2e42e033e02e0c87d10e43d0164cfffb3bb84914970a63",
            "7f084c5a95807edb4702a7c9f6f18e74d59026d1c34ceb8cae85df0b9a9f0a10",
            "9cd2f13e7039b1d1eeeef92af63b07701ba1b242aadc3c0957eae9c98dca7771",
        ),
    ),
    Artist(
        "streamline", "streamline-emojis", "1.2.4",
        (
            "d3cb7afee48544af5657a92951cff18ffef7b150a13b3df1bb54b8c0757bfad6",
            NO_CHARS,
            "64dc76b8e7ada6160dded682f7facf939ab5ec13c7c655ef9223acd8841c2aa9",
        ),
    ),
    Artist(
        "openmoji", "openmoji", "1.2.29",
        (
            "7075331faab544067dbff4236471dd378bb5410aa05799a8a343c9ebf5c5984c",
            "8583c4c65723c22c043a50a27038c43d3d12de336ad409872b23356f4c3e3825",
            "d94b474119ad0a9d21f3290bfbcc84b4afaeff0d88b2f6f04cced3e949212d9d",
        ),
        is_held_out=True,
    ),
    Artist(
        "fxemoji", "fxemoji", "1.2.2",
        (
            "d8ef67b94a32d0abcd314d1c35db56178eaa8fa8ad71130e312f3460e307c2bf",
            NO_CHARS,
            "d01a247f13e54d726c7702c9168a27d788e97feeb2da92ff92731ebd9a58e8d9",
        ),
        is_held_out=True,
    ),
)  # fmt: skip
ARTIST_NAMES = tuple(artist.name for artist in ARTISTS)
HELD_OUT = tuple(artist.name for artist in ARTISTS if artist.is_held_out)
DROPPED = frozenset(
    {
        # Named like the concept, but drawn as something else.
        ("emojione", "cricket"),  # the game, with a bat
        ("noto-v1", "cricket"),
        ("emojione-v1", "keyboard"),  # of a piano
        ("emojione-v1", "window"),  # of a program
        ("streamline", "turkey"),  # the country's flag
        ("fxemoji", "boar"),  # a pig's face
        ("fxemoji", "cat"),  # the whole animal is meant
        ("fxemoji", "construction"),  # a building site instead of a barrier
        ("fxemoji", "dog"),
        ("fxemoji", "keyboard"),
        ("fxemoji", "kiss"),  # one face
        ("fxemoji", "mouse"),
        ("fxemoji", "pig"),
        ("fxemoji", "sunglasses"),  # a face that wears them
        ("fxemoji", "tiger"),
        ("fxemoji", "window"),
        # One drawing under two names of the same firm: not another artist's.
        ("noto-v1", "comet"),
        ("noto-v1", "right anger bubble"),
        ("noto-v1", "tornado"),
        # Broken.
        ("fluent", "face in clouds"),  # the clouds fill the frame
        ("fxemoji", "tram car"),  # black
    }
)  # artist and concept, found by looking at all drawings
LEFT_OUT = ("copyright", "registered", "trade mark")  # concepts that are plain letters
MAN_AND_WOMAN = frozenset({0x1F468, 0x1F469, 0x2640, 0x2642})  # signs of a gender in a joined emoji
