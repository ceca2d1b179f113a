from httpx2 import AsyncClient


async def test_answers_are_counted_by_route_and_never_by_path(admin: AsyncClient) -> None:
    await admin.delete("/api/v1/keys/00000000-0000-7000-8000-000000000000")
    await admin.get("/api/v1/users/ada-lovelace")
    await admin.request("BREW", "/api/v1/keys")
    figures = (await admin.get("/metrics")).text
    assert 'tooloo_http_requests_total{method="DELETE",route="/api/v1/keys/{key_id}",status="404"} 1.0' in figures
    assert 'tooloo_http_requests_total{method="GET",route="none",status="404"} 1.0' in figures
    assert 'tooloo_http_requests_total{method="other",route="/api/v1/keys",status="405"} 1.0' in figures
    assert 'tooloo_http_first_byte_seconds_count{method="DELETE",route="/api/v1/keys/{key_id}"} 1.0' in figures
    assert "process_resident_memory_bytes" in figures
    assert not any(personal in figures for personal in ("ada-lovelace", "00000000-0000", "BREW"))
