"""Words that the builder combines."""

from __future__ import annotations


def _list(text: str) -> tuple[str, ...]:
    return tuple(text.split(","))


GIVEN_NAMES = _list(
    "Alba,Bruno,Calla,Dorian,Edda,Fenno,Greta,Hollis,Imre,Jorun,Kester,Liv,Marlo,Nell,Odo,Petra,"
    "Quill,Runa,Silas,Tamsin,Ulla,Vito,Wanda,Xenia,Yorick,Zelda"
)
FAMILY_NAMES = _list(
    "Ambrick,Bellweather,Cindrel,Dapplewood,Eastlake,Farrowby,Gantry,Harkel,Inglemoss,Jessop,"
    "Kettridge,Lorimund,Mossgrave,Nettlefold,Oakhanger,Pembrooke,Quarrel,Rushmere,Saltmarsh,"
    "Tandrick,Underhay,Vantrow,Wickfield,Yarrowell"
)
MAIL_HOSTS = ("Mail.example", "post.example", "Letterbox.Example", "net.example")

GROUPS = (
    (1, "Retail", "Private customers"),
    (2, "Trade  ", "Dealers, 30 days"),
    (3, "Schools", "Schools and clubs"),
    (4, "Staff ", "Own people"),
    (5, "Press", "Samples only "),
    (6, "Export", "Outside the country"),
)
LABELS = _list(
    "new,sale,handmade,copper,brass,oak,ash,enamel,linen,wool,glass,clay,outdoor,indoor,gift,"
    "spare part,last pieces,repairable,fragile,heavy,winter,summer,garden,workshop"
)
# Name of the top category and its children.
CATEGORIES = {
    "Light": "Lanterns,Table lamps,Candles,Wicks,Shades",
    "Kitchen": "Kettles,Pans,Jars,Graters,Boards,Scales",
    "Workshop": "Planes,Mallets,Files,Clamps,Benches",
    "Garden": "Trowels,Cans,Baskets,Twine,Cloches,Labels",
    "House": "Brooms,Hooks,Blankets,Clocks,Boxes",
    "Paper": "Notebooks,Envelopes,Inks,Blotters",
}
QUALITIES = _list("Little,Plain,Tall,Quiet,Stout,Blue,Amber,Folding,Travelling,Winter,Double")
THINGS = _list(
    "Lantern,Kettle,Oil Lamp,Mallet,Trowel,Watering Can,Bread Board,Coat Hook,Blanket,Notebook,"
    "Ink Pot,Candle Holder,Grater,Broom,Wall Clock,Storage Jar,Twine Box,Clamp"
)
NOTES = ("Please ring twice", "Gift, no bill inside", "Leave with neighbours ", "Call before")
