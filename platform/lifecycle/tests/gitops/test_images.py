"""The digest of an image in a stack's overlay, in a real repository: one commit, one line, even with other writers.

That Argo CD applies commits is proven by the rehearsed model lifecycle, for the files that promotions write.
"""

from __future__ import annotations

import pytest

from lifecycle.gitops import __main__ as command
from lifecycle.gitops.git import RepositoryError
from lifecycle.gitops.images import publish_digest
from lifecycle.gitops.settings import GitopsSettings
from support.git_remote import GitRemote

PATH = "stacks/dev/kustomization.yaml"
OLD, NEW = f"sha256:{'0' * 64}", f"sha256:{'a' * 64}"
TEXT = f"""\
# people's
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources: []
images:
- name: other
  newName: registry.example/other
  digest: {OLD}
- name: groundwork-serving
  newName: registry.example/serving
  digest: {OLD}
"""


@pytest.fixture(autouse=True)
def overlay(remote: GitRemote) -> None:
    remote.push_file(PATH, TEXT)


def test_only_the_line_of_the_digest_changes(remote: GitRemote, gitops: GitopsSettings) -> None:
    before = remote.read(PATH)
    assert publish_digest(gitops, "groundwork-serving", NEW).commit == remote.git("rev-parse", "main")
    lines = zip(before.splitlines(), remote.read(PATH).splitlines(), strict=True)
    assert [pair for pair in lines if pair[0] != pair[1]] == [(f"  digest: {OLD}", f"  digest: {NEW}")]
    assert remote.read(PATH).index(NEW) > remote.read(PATH).index("groundwork-serving")


def test_setting_a_digest_again_changes_nothing_and_a_former_image_can_return(
    remote: GitRemote, gitops: GitopsSettings
) -> None:
    for digest in (NEW, NEW, OLD, NEW):
        publish_digest(gitops, "groundwork-serving", digest)
    assert len(remote.events()) == 3
    assert NEW in remote.read(PATH)


def test_an_image_that_the_stack_does_not_have_is_named(gitops: GitopsSettings) -> None:
    with pytest.raises(RepositoryError, match=r"no image 'absent' with a digest \(it has other, groundwork-serving\)"):
        publish_digest(gitops, "absent", NEW)


def test_the_command_prints_its_result(
    monkeypatch: pytest.MonkeyPatch, remote: GitRemote, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GITOPS_REPOSITORY", str(remote.path))
    monkeypatch.setenv("GITOPS_STACK", "dev")
    assert command.main(["set-image", "groundwork-serving", NEW]) == 0
    assert capsys.readouterr().out == f"groundwork-serving: {remote.git('rev-parse', 'main')}\n"
    assert command.main(["set-image", "groundwork-serving", NEW]) == 0
    assert capsys.readouterr().out == "groundwork-serving: unchanged\n"
    monkeypatch.setenv("GITOPS_STACK", "absent")
    assert command.main(["set-image", "groundwork-serving", NEW]) == 1
    assert "stacks/absent/kustomization.yaml is not in the repository" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        command.main(["set-image", "groundwork-serving", "latest"])
