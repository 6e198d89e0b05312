"""Two names of one project in a prune run: only what the rules for both do not keep is deleted."""

from snapshot_protection.policy import NamedPolicy, Policy, Rule
from tests.support.prune_trials import ALL_BUT_THE_NEWEST, outcomes_of, prune_trial
from tests.support.prune_world import World
from tests.support.watched_runs import WatchedRun

FIRST, SECOND = "a-ci", "prod"
TWO = ALL_BUT_THE_NEWEST.model_copy(
    update={"name": "two", "keep": ALL_BUT_THE_NEWEST.keep.model_copy(update={"last": 2})}
)


def only_for(project: str, rule: Rule) -> Rule:
    return rule.model_copy(update={"projects": [project]})


async def test_what_a_rule_for_the_second_name_keeps_is_not_deleted_through_the_first() -> None:
    with prune_trial(Rule(name="kept", projects=[SECOND]), ALL_BUT_THE_NEWEST) as trial:
        first, second = await trial.observe(FIRST, SECOND)
        assert (first.planned, second.planned) == ((), ())
        assert {one.outcome for one in first.outcomes} == {"kept"}
        assert first.outcomes[0].reasons == ("project 'prod', which is the same one, keeps it",)
        assert second.same_as == FIRST
        await trial.apply(FIRST, SECOND)
        assert not trial.run.writes


async def test_what_is_kept_by_a_second_name_leaves_its_room_in_the_plan_to_others() -> None:
    with prune_trial(only_for(SECOND, TWO), ALL_BUT_THE_NEWEST, snapshots=4) as trial:
        # by the second name the newest two are kept, by the first the newest
        first, _ = await trial.observe(FIRST, SECOND, max_deletions=1)
        assert [one.outcome for one in first.outcomes] == ["would_prune", "queued", "kept", "kept"]
        trial.world.sandbox.images[trial.ids[0]]["labels"] = {"kept": ""}
        rules = [Rule(name="kept", projects=[SECOND], label_selector="kept"), *trial.policy.policy.rules]
        trial.policy = NamedPolicy("default", Policy(rules=rules))
        first, _ = await trial.observe(FIRST, SECOND, max_deletions=1)
        assert [one.outcome for one in first.outcomes] == ["kept", "would_prune", "kept", "kept"]
        assert [one.image_id for one in first.planned] == [trial.ids[1]]


async def test_what_a_rule_for_the_second_name_keeps_since_the_plan_was_made_is_kept() -> None:
    with prune_trial(only_for(SECOND, TWO), ALL_BUT_THE_NEWEST) as trial:
        first, _, newest = trial.ids

        async def delete_the_newest(world: World, _run: WatchedRun) -> None:
            world.sandbox.delete_image(newest)

        report = await trial.apply(FIRST, SECOND, at={1: delete_the_newest})
        assert outcomes_of(report)[first] == "kept"
        assert not trial.run.writes
