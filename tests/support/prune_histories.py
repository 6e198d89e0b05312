"""Of what the histories are made that a model of prune runs tries: hypothesis strategies."""

from hypothesis import strategies as st

from sandbox import Fault
from tests.support.prune_happenings import WHAT_OTHERS_DO, Jump, Other
from tests.support.prune_interruptions import ENDS, OTHER_RUNS, Happens

ANY = st.integers(0, 399)
DAYS = st.sampled_from([0, 0, 0, 0.5, 3])
HOURS = st.sampled_from([0.2, 6, 24, 47, 49, 24 * 8, -0.2, -2, -72])
OTHERS = st.builds(Other, st.sampled_from([*WHAT_OTHERS_DO, "add", "add newer", "unprotect", "delete"]), ANY)
INTERVENTIONS = st.builds(
    Other, st.sampled_from(["delete", "relabel", "describe", "exempt", "add server", "garble"]), ANY
)
INTERRUPTIONS = st.one_of(
    OTHERS,
    st.builds(Jump, HOURS),
    st.builds(Happens, st.sampled_from(ENDS)),
    st.builds(Happens, st.sampled_from(OTHER_RUNS), st.sampled_from([0, 6])),
)
AT = st.dictionaries(st.integers(-26, 26).filter(bool), INTERRUPTIONS, max_size=3)

_OPERATIONS = st.sampled_from(
    ["list_images", "list_servers", "get_image", "change_image_protection", "delete_image", "poll"]
)
_AFTER = st.integers(0, 3)
_TIMES = st.sampled_from([1, 1, 2, 7, None])
FAULTS = st.one_of(
    st.builds(
        Fault,
        kind=st.sampled_from(["drop", "drop_after", "cut", "truncated", "wrong_shape", "html", "empty"]),
        operation=_OPERATIONS,
        after=_AFTER,
        times=_TIMES,
    ),
    st.builds(
        Fault,
        kind=st.just("error"),
        operation=_OPERATIONS,
        status=st.sampled_from([401, 403, 409, 423, 500, 503]),
        after=_AFTER,
        times=_TIMES,
    ),
    st.builds(
        Fault,
        kind=st.just("error"),
        operation=_OPERATIONS,
        status=st.sampled_from([404, 429]),  # what is there may not be found once, and a budget be used up
        after=_AFTER,
        times=st.just(1),
    ),
    st.builds(
        Fault,
        kind=st.sampled_from(["action_error", "action_without_effect", "action_never_ends"]),
        after=_AFTER,
        times=_TIMES,
        takes_effect=st.booleans(),
    ),
    st.builds(
        Fault,
        kind=st.sampled_from(["action_status", "action_unknown", "image_deleted"]),
        after=_AFTER,
        times=_TIMES,
    ),
    st.builds(
        Fault,
        kind=st.sampled_from(["delete_without_effect", "delete_late", "protected_again"]),
        after=st.integers(0, 1),
        times=_TIMES,
        seconds=st.sampled_from([0, 1, 30]),
    ),
)
UNDELETED = st.one_of(
    st.builds(Fault, kind=st.sampled_from(["delete_without_effect", "delete_late"]), seconds=st.just(30)),
    st.builds(
        Fault, kind=st.just("error"), operation=st.just("delete_image"), status=st.sampled_from([403, 500])
    ),
)
NOT_PROTECTED_AGAIN = st.builds(
    Fault,
    kind=st.sampled_from(["error", "drop", "drop_after"]),
    operation=st.just("change_image_protection"),
    status=st.sampled_from([401, 403, 423, 500]),
    after=st.just(1),
    times=st.sampled_from([6, 12, None]),
)
