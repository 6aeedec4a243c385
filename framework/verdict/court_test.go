package verdict

import (
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cutset-dev/cutset/framework/history"
)

// A verdict that is given when its case has ended is the one that the whole history gives.
func TestVerdictsDoNotWait(t *testing.T) {
	first, second := healthy(), healthy()
	first.lose = []int64{1<<32 + 15}
	cases := map[string]*story{"c1": first, "c2": second}
	court := NewCourt()
	var early []Verdict
	for _, id := range []string{"c1", "c2"} {
		for _, r := range cases[id].records(id) {
			if err := court.Hear(r); err != nil {
				t.Fatal(err)
			}
		}
		v, err := court.Verdict(id)
		if err != nil {
			t.Fatal(err)
		}
		early = append(early, v)
	}
	late, err := Judge(seq(slices.Concat(first.records("c1"), second.records("c2"))))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(early, late); diff != "" {
		t.Error("early and late verdicts: ", diff)
	}
	if _, err := court.Verdict("c3"); !errors.Is(err, ErrUnknownCase) {
		t.Errorf("a case that the history does not have: %v", err)
	}
	again := history.Record{Case: "c2", Planned: &history.Planned{}}
	if err := court.Hear(again); err == nil {
		t.Error("a case began twice")
	}
}
