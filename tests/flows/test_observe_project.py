"""What a prune run knows before it changes anything: each candidate, and since when it has been one."""

from snapshot_protection.policy import NamedPolicy
from tests.support.prune_trials import prune_trial


async def test_what_was_no_candidate_in_a_run_for_want_of_the_policy_begins_its_quarantine_again() -> None:
    with prune_trial() as trial:
        saved = trial.policy
        for policy in (saved, saved, NamedPolicy()):  # deleted for the third night
            trial.policy = policy
            await trial.observe()
            trial.world.jump(hours=23.9)
        trial.policy = saved
        [observed] = await trial.observe()
        assert observed.quarantine
        assert observed.quarantine.since == dict.fromkeys(trial.ids[:2], observed.quarantine.observed)
