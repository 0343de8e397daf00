from negset.publishing.tables import table


def test_a_table_has_a_caption_a_head_and_names_for_rows():
    drawn = table("What <it> is", ("a", "b", "c"), [["x<y", "words", "3"]], words=2)
    assert '<caption class="unseen">What &lt;it&gt; is</caption>' in drawn
    assert '<th scope="row">x&lt;y</th><td class="words">words</td><td class="number">3</td>' in drawn
    assert drawn.count('scope="col"') == 3
