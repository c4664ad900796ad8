import pytest
from starlette.datastructures import Headers

from attnwatch.web.access import Access, host_name, is_loopback

TOKEN = "t" * 32


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "X"])
def test_the_page_is_read_only(opened, method):
    found = opened().ask("/", method)
    assert (found.status_code, found.headers["allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "127.0.0.2", "", "[::1", "localhost:x", "[::1]x", "0.0.0.0"]
)
def test_another_name_of_the_server_is_refused_so_that_no_other_page_reads_it_through_dns(opened, host):
    page = opened()
    assert page.ask("/", host=host).status_code == 421
    assert page.ask("/api/batches", host=host).status_code == 421


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8642", "127.0.0.1:9", "[::1]:8642", "[::1]", "localhost."])
def test_the_names_of_this_machine_are_answered(opened, host):
    assert opened().ask("/", host=host).status_code == 200


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_other_pages_can_only_lead_to_this_one(opened, site):
    page = opened()
    assert page.ask("/api/batches", sec_fetch_site=site, sec_fetch_mode="no-cors").status_code == 403
    assert page.ask("/", sec_fetch_site=site, sec_fetch_mode="navigate").status_code == 200
    assert page.ask("/api/batches", sec_fetch_site="same-origin", sec_fetch_mode="cors").status_code == 200


def test_a_page_with_a_token_opens_only_with_it_and_the_browser_keeps_it(opened):
    page = opened(token=TOKEN)
    for path in ("/", "/api/batches", "/static/index.html", f"/?token={TOKEN}x", "/?token=", "/?token=%ff", "/?token"):
        found = page.ask(path)
        assert (found.status_code, "set-cookie" in found.headers) == (401, False)
    found = page.ask(f"/?token={TOKEN}")
    cookie, *attributes = found.headers["set-cookie"].split("; ")
    assert (found.status_code, sorted(attributes)) == (200, ["HttpOnly", "Path=/", "SameSite=Strict"])
    assert page.ask("/api/batches", cookie=f"other=1; {cookie}").status_code == 200
    assert page.ask("/api/batches", cookie=f"{cookie}x").status_code == 401
    assert page.ask("/?" + "&".join("a" for _ in range(500))).status_code == 401


def test_every_answer_tells_the_browser_to_load_nothing_from_elsewhere_and_to_guess_nothing(batch, opened):
    batch.add_full(1)
    page = opened()
    video = page.videos[0]["id"]
    for path in ("/", "/api/batches", "/nothing", f"/files/{video}/video", f"/api/videos/{video}/maps/kiss"):
        headers = page.ask(path).headers
        assert headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'; style-src 'self'")
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert (headers["referrer-policy"], headers["cross-origin-resource-policy"]) == ("no-referrer", "same-origin")
        assert "access-control-allow-origin" not in headers


@pytest.mark.parametrize(
    ("host", "name"),
    [("a.b:1", "a.b"), ("[fe80::1]:80", "fe80::1"), ("", None), (":80", None), ("a:b", None), ("a:²", None)],
)
def test_the_name_in_a_host_header_is_read_without_its_port(host, name):
    assert host_name(host) == name


def test_only_loopback_addresses_are_private():
    assert all(map(is_loopback, ("127.0.0.1", "127.9.9.9", "::1", "localhost")))
    assert not any(map(is_loopback, ("0.0.0.0", "::", "192.168.0.1", "example.org", "")))


def test_where_every_address_is_listened_at_any_address_of_the_machine_is_its_name():
    access = Access(frozenset({"gpu-7"}), any_address=True, token=TOKEN)
    asked = [access.refusal("GET", Headers({"host": host}), f"token={TOKEN}") for host in ("gpu-7", "10.0.0.7:8642")]
    assert asked == [None, None]
    assert access.refusal("GET", Headers({"host": "evil.example"}), f"token={TOKEN}").status_code == 421
