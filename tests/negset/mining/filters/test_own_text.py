from negset.mining.filters.own_text import OwnTextParams, own_text


def test_the_querys_own_text_goes(candidates):
    judged = own_text(candidates([0.9, 0.8], is_own_text=[True, False]).lazy(), OwnTextParams()).collect()
    assert judged["rejected_by"].to_list() == ["own_text", None]
