"""Names for agents that bring none: a colour of the sky and a bird, easy to say and to tell apart; and numbers after names."""

from collections.abc import Callable
from typing import Final

from intermute.core.ids import RandomBits

_COUNTED_MAX: Final = 64  # numbers tried one by one; a guess.

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


def first_numbered(name: str, is_free: Callable[[str], bool]) -> str:
    """Return the first of name-2, name-3 … that is free, while few are taken; else one that is free and follows a taken one.

    Cost: some eighty looks, since whoever registers ten thousand agents under one name must not stop the loop for each.
    """
    for number in range(2, _COUNTED_MAX + 1):
        if is_free(f"{name}-{number}"):
            return f"{name}-{number}"
    taken, free = _COUNTED_MAX, 2 * _COUNTED_MAX
    while not is_free(f"{name}-{free}"):
        taken, free = free, 2 * free
    while free - taken > 1:
        middle = (taken + free) // 2
        taken, free = (taken, middle) if is_free(f"{name}-{middle}") else (middle, free)
    return f"{name}-{free}"
