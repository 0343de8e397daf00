from negset.publishing.tables import table


def test_a_table_has_a_caption_a_head_and_names_for_rows():
    drawn = table("What <it> is", ("a", "b", "c"), [["x<y", "words", "3"]], words=2)
    assert '<caption class="unseen">What &lt;it&gt; is</caption>' in drawn
    assert '<th scope="row">x&lt;y</th><td class="words">words</td><td class="number">3</td>' in drawn
    assert drawn.count('scope="col"') == 3


def test_a_chosen_row_stands_out_and_a_column_of_long_words_keeps_its_width():
    drawn = table("T", ("a", "b"), [["x", "short"], ["y", "w" * 30]], words=2, chosen=[1])
    assert '<tr><th scope="row">x</th><td class="words long">short</td></tr>' in drawn
    assert '<tr class="chosen"><th scope="row">y</th>' in drawn
