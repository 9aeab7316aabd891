"""Who may do what: every address, every method."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import clear_script_prefix, get_resolver, set_script_prefix

from data_migration.models import RowError, Run
from tests.support.specs import NewApp
from tests.unit.admin.conftest import MESSAGES, PATCHES, RUNS, STATUS, Login

pytestmark = pytest.mark.django_db

METHODS = ("get", "head", "put", "patch", "delete", "post")
REHEARSE = {"action": "rehearse", "label": "library"}
ROLL_BACK = {"action": "rollback", "label": "library"}

#: Address -> what may be done there; "ask" is to look at and to post, with its own permissions.
PAGES = {
    STATUS: "get",
    f"{STATUS}confirm/": "post",
    f"{STATUS}start/": "post",
    RUNS: "get",
    f"{RUNS}{{run}}/": "get",
    f"{RUNS}{{run}}/live/": "get",
    f"{RUNS}{{run}}/stop/": "post",
    f"{RUNS}{{run}}/resume/": "post",
    PATCHES: "get",
    f"{PATCHES}confirm/": "ask",
    f"{PATCHES}desk.greet/": "get",
    MESSAGES: "get",
    f"{MESSAGES}export/": "get",
    f"{MESSAGES}retry/": "post",
    f"{MESSAGES}dismiss/": "post",
}
#: What is looked at, and has a page of HTML.
READ = (
    *(STATUS, RUNS, f"{RUNS}{{run}}/", MESSAGES, PATCHES, f"{PATCHES}desk.greet/"),
    f"{PATCHES}confirm/?action=fake&label=desk.greet",
)
each_page = pytest.mark.parametrize("address", PAGES)


@pytest.fixture(autouse=True)
def _desk(new_app: NewApp) -> None:
    """An app with a patch."""
    code = "from data_migration.patches import patch\n@patch\ndef greet(ctx): pass\n"
    new_app("desk", patches=code)


def ask(client: Client, method: str, address: str, run: Run, **data: str) -> int:
    url = address.format(run=run.pk)
    return int(getattr(client, method)(url, data or REHEARSE).status_code)


def test_the_list_of_pages_here_is_complete() -> None:
    patterns = [
        f"/admin/{outer.pattern}{inner.pattern}".replace("<int:number>", "{run}").replace(
            "<path:label>", "desk.greet"
        )
        for outer in get_resolver().url_patterns[0].url_patterns
        if str(outer.pattern).startswith("data_migration/")
        for inner in outer.url_patterns
    ]
    assert sorted(patterns) == sorted(PAGES)


@each_page
def test_who_is_not_logged_in_is_sent_to_the_login(
    client: Client, imported: Run, address: str
) -> None:
    for method in METHODS:
        response = getattr(client, method)(address.format(run=imported.pk), REHEARSE)
        assert response.status_code == 302, method
        assert response.url.startswith("/admin/login/"), method
    assert Run.objects.count() == 1


@each_page
def test_who_is_no_staff_is_sent_to_the_login(login: Login, imported: Run, address: str) -> None:
    client = login("view_run", "start_run", "rollback_run", is_staff=False)
    for method in METHODS:
        assert ask(client, method, address, imported) == 302, method
    assert Run.objects.count() == 1


@each_page
def test_staff_that_may_not_view_may_nothing(login: Login, imported: Run, address: str) -> None:
    for client in (login(), login("start_run", "rollback_run", "run_patch", "fake_patch")):
        for method in METHODS:
            assert ask(client, method, address, imported) == 403, method
    assert Run.objects.count() == 1


@each_page
def test_a_viewer_may_read_and_nothing_more(viewer: Client, imported: Run, address: str) -> None:
    is_page = PAGES[address] == "get"
    for method in METHODS:
        status = ask(viewer, method, address, imported)
        if PAGES[address] == "ask":
            assert status == (403 if method in ("get", "head", "post") else 405), method
        elif method in ("get", "head"):
            # What acts is refused at once where the address alone tells what it takes.
            assert status in ((200,) if is_page else (302, 403)), method
        elif method == "post":
            assert status == (405 if is_page else 403)
        else:
            assert status in ((405,) if is_page else (403, 405)), method
    assert Run.objects.count() == 1
    assert RowError.objects.filter(is_open=True).count() == 3


@each_page
def test_a_starter_may_post_where_something_is_done(
    login: Login, imported: Run, address: str
) -> None:
    # To look at what acts leads to a page.
    allowed = {"post" if PAGES[address] == "ask" else PAGES[address], "get", "head"}
    client = login("view_run", "start_run", "run_patch")
    for method in METHODS:
        status = ask(client, method, address, imported)
        assert status in ((200, 302) if method in allowed else (405,)), method


@pytest.mark.parametrize(
    ("address", "page"),
    [
        (f"{STATUS}confirm/", STATUS),
        (f"{STATUS}start/", STATUS),
        (f"{RUNS}{{run}}/stop/", f"{RUNS}{{run}}/"),
        (f"{RUNS}{{run}}/resume/", f"{RUNS}{{run}}/"),
        (f"{MESSAGES}retry/", MESSAGES),
        (f"{MESSAGES}dismiss/", MESSAGES),
    ],
)
def test_a_login_in_between_leads_to_the_page_and_does_nothing(
    client: Client, imported: Run, address: str, page: str
) -> None:
    User.objects.create_superuser("ada", password="ada")
    address, page = address.format(run=imported.pk), page.format(run=imported.pk)
    sent = client.post(address, {"action": "run"})
    response = client.post(sent.url, {"username": "ada", "password": "ada"}, follow=True)
    assert response.redirect_chain == [(address, 302), (page, 302)]
    assert response.status_code == 200
    assert Run.objects.count() == 1


@pytest.mark.parametrize("place", ["confirm/", "start/"])
def test_a_starter_may_not_roll_back(starter: Client, imported: Run, place: str) -> None:
    assert ask(starter, "post", f"{STATUS}{place}", imported, **ROLL_BACK) == 403
    assert Run.objects.count() == 1


@pytest.mark.parametrize("place", ["confirm/", "start/"])
@pytest.mark.parametrize("action", ["rehearse", "run", "update", "retry"])
def test_who_may_roll_back_may_not_start(
    undoer: Client, imported: Run, place: str, action: str
) -> None:
    assert ask(undoer, "post", f"{STATUS}{place}", imported, action=action) == 403
    assert Run.objects.count() == 1


@pytest.mark.parametrize("place", ["retry/", "dismiss/"])
def test_who_may_roll_back_may_not_mend(undoer: Client, imported: Run, place: str) -> None:
    assert ask(undoer, "post", f"{MESSAGES}{place}", imported) == 403
    assert RowError.objects.filter(is_open=True).count() == 3


@pytest.mark.parametrize("place", ["stop/", "resume/"])
def test_a_run_is_acted_on_by_those_who_may_start_one_like_it(
    login: Login, imported: Run, place: str
) -> None:
    undoer, starter = login("view_run", "rollback_run"), login("view_run", "start_run")
    address = f"{RUNS}{{run}}/{place}"
    assert ask(undoer, "post", address, imported) == 403
    Run.objects.update(kind="rollback")
    assert ask(undoer, "post", address, imported) == 302
    assert ask(starter, "post", address, imported) == 403


@pytest.mark.parametrize(
    "address", [address for address, method in PAGES.items() if method != "get"]
)
def test_without_a_csrf_token_nothing_is_done(login: Login, imported: Run, address: str) -> None:
    user = login("view_run", "start_run", "rollback_run", "run_patch")
    client = Client(enforce_csrf_checks=True)
    client.cookies = user.cookies
    assert ask(client, "post", address, imported) == 403
    assert Run.objects.count() == 1


def test_the_index_shows_the_pages_to_those_who_may_view(login: Login) -> None:
    assert STATUS in login("view_run").get("/admin/").content.decode()
    assert STATUS not in login("start_run").get("/admin/").content.decode()


def test_the_pages_of_a_second_site_lead_to_that_site(login: Login, imported: Run) -> None:
    client = login("view_run", "start_run", "rollback_run", "run_patch", "fake_patch")
    patches = ("patchrecord/", "patchrecord/desk.greet/", "patchrecord/confirm/?action=rehearse")
    for address in ("migrationstate/", "run/", f"run/{imported.pk}/", "rowerror/", *patches):
        text = client.get(f"/office/data_migration/{address}").content.decode()
        assert "/office/data_migration/" in text
        assert "/admin/data_migration/" not in text
    started = client.post("/office/data_migration/migrationstate/start/", REHEARSE)
    assert started.url.startswith("/office/data_migration/run/")


def test_under_a_script_name_every_link_has_it(
    viewer: Client, imported: Run, request: pytest.FixtureRequest
) -> None:
    # As the handlers of WSGI and ASGI do it before a request; the test client does not.
    set_script_prefix("/shop/")
    request.addfinalizer(clear_script_prefix)
    for address in (STATUS, RUNS, f"{RUNS}{imported.pk}/", PATCHES, MESSAGES):
        text = viewer.get(address).content.decode()
        assert 'href="/admin/' not in text
        assert 'action="/admin/' not in text
        assert "/shop/admin/data_migration/" in text


@pytest.mark.parametrize("address", READ)
def test_no_page_has_script_or_style_of_its_own(login: Login, imported: Run, address: str) -> None:
    client = login("view_run", "start_run", "rollback_run", "run_patch", "fake_patch")
    text = client.get(address.format(run=imported.pk)).content.decode()
    assert 'id="content-main"' in text
    assert "<style" not in text
    assert " style=" not in text
    assert "javascript:" not in text
    assert not [part for part in text.split("<script")[1:] if " src=" not in part.split(">")[0]]
    assert not [word for word in (" onclick=", " onload=", " onchange=") if word in text]


@pytest.mark.parametrize("action", ["rehearse", "run", "retry", "fake", "rollback"])
def test_each_button_of_patches_takes_its_own_permission(
    login: Login, imported: Run, action: str
) -> None:
    needed = {"fake": "fake_patch", "rollback": "rollback_run"}.get(action, "run_patch")
    all_of_them = {"run_patch", "fake_patch", "rollback_run", "start_run"}
    others = login("view_run", *sorted(all_of_them - {needed}))
    data = {"action": action, "label": "desk.greet"}
    for method in ("get", "post"):
        assert getattr(others, method)(f"{PATCHES}confirm/", data).status_code == 403, method
    assert login("view_run", needed).get(f"{PATCHES}confirm/", data).status_code == 200
    assert Run.objects.count() == 1


def test_a_login_in_between_leads_back_to_the_question_about_patches(
    client: Client, imported: Run
) -> None:
    User.objects.create_superuser("ada", password="ada")
    address = f"{PATCHES}confirm/?action=run&label=desk.greet"
    sent = client.post(address, {"action": "run", "label": "desk.greet"})
    response = client.post(sent.url, {"username": "ada", "password": "ada"}, follow=True)
    assert response.redirect_chain == [(address, 302)]
    assert "Runs 1 patch and writes" in response.content.decode()
    assert Run.objects.count() == 1
