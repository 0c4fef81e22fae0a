"""Names for agents that bring none: a colour of the sky and a bird, easy to say and to tell apart."""

from typing import Final

from intermute.core.ids import RandomBits

_SKIES: Final = (
    "Amber", "Ashen", "Auburn", "Azure", "Bright", "Bronze", "Calm", "Cobalt", "Copper", "Coral", "Crimson", "Dusky",
    "Ember", "Frosty", "Gilded", "Golden", "Hazel", "Hazy", "Indigo", "Ivory", "Jade", "Lilac", "Lucid", "Misty",
    "Ochre", "Opal", "Pearl", "Quiet", "Russet", "Silver", "Sunlit", "Velvet",
)  # fmt: skip
_BIRDS: Final = (
    "Avocet", "Bittern", "Bunting", "Crane", "Curlew", "Dipper", "Dunlin", "Egret", "Falcon", "Finch", "Gannet",
    "Godwit", "Grebe", "Heron", "Hoopoe", "Ibis", "Jackdaw", "Kestrel", "Kite", "Lapwing", "Linnet", "Martin", "Merlin",
    "Osprey", "Petrel", "Plover", "Puffin", "Redstart", "Siskin", "Swift", "Tern", "Wren",
)  # fmt: skip


def generated_name(random_bits: RandomBits) -> str:
    """Return one of 1,024 names; whoever uses it sees to it that no live agent has it."""
    return _SKIES[random_bits(5)] + _BIRDS[random_bits(5)]
