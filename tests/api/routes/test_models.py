"""Listings: what can be asked, and what cannot."""


def test_models(service):
    listed = service.get("/v1/models").json()
    kinds = {model["id"]: model["motet"]["kind"] for model in listed["data"]}
    assert kinds["echo"] == "expert" and kinds["auto"] == "composition"
    assert service.get("/v1/models/auto").json()["motet"]["description"] == "the usual"
    assert service.get("/v1/models/nope").status_code == 404
