"""What prompts fix of an object, leaf by leaf."""

from __future__ import annotations

import numpy as np

from diffseg_core.objects.seeds import Seeds


def test_a_box_takes_no_other_prompts_word_and_its_own_is_given_up_alone():
    seeds = Seeds(5)
    seeds.add([0], True, is_click=True)
    seeds.add([1], False, is_click=True)
    seeds.add([2], True)
    seeds.bound(np.array([False, True, True, True, True]))
    assert seeds.leaves == ([0, 2], [1, 3, 4])
    seeds.add([4], False)  # said again, by a prompt of its own
    seeds.release(np.ones(5, dtype=bool))
    assert seeds.leaves == ([0, 2], [1, 4])
    seeds.add([1], True, is_click=True)
    assert seeds.divided.tolist() == [False, True, False, False, False], (
        "clicks for and against divide a leaf"
    )
