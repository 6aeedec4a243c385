package plan

import (
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cutset-dev/cutset/faultcalc"
)

// Any fault set can be asked for by name, whether a plan has it or not, and has its prediction.
func TestAsked(t *testing.T) {
	sp := spec()
	sp.Only = "s:crash:machine:m3"
	p, err := Make(ring(), sp)
	if err != nil || !slices.Equal(ids(p), []string{sp.Only}) {
		t.Fatalf("got %v, %v", ids(p), err)
	}
	if c := p.Cases[0]; c.Predict == faultcalc.Unavailable || c.Sentence != "crash {m3}: table t must stay available" {
		t.Errorf("got %+v", c)
	}
	sp.Only = "s:crash:machine:m4+m3+m1" // in any order
	if p, err = Make(ring(), sp); err != nil || p.Cases[0].ID != "s:crash:machine:m1+m3+m4" || !slices.Equal(p.Cases[0].Unavailable, []int{3}) {
		t.Errorf("got %+v, %v", p.Cases, err)
	}
	for _, bad := range []string{"s:crash:machine:m9", "s:explode:machine:m1", "s:crash:planet:m1", "s:crash", "s:crash:machine:m1+m2:9-abcdef"} {
		sp.Only = bad
		if _, err := Make(ring(), sp); !errors.Is(err, ErrNoCase) {
			t.Errorf("%s: got %v, want ErrNoCase", bad, err)
		}
	}
	sp.Only, sp.Unsupported = "s:crash:machine:m3", func(faultcalc.Level, string) string { return "not here" }
	if _, err := Make(ring(), sp); !errors.Is(err, ErrNoCase) {
		t.Errorf("a kind that can't be injected: got %v, want ErrNoCase", err)
	}
}

// A plan is repeated as a whole, so that a run that is cut short has done every case about as often.
func TestRepeated(t *testing.T) {
	sp := spec()
	sp.MaxCases = 2
	p, err := Make(ring(), sp)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{p.Cases[0].ID + "@1", p.Cases[1].ID + "@1", p.Cases[0].ID + "@2", p.Cases[1].ID + "@2"}
	twice := p.Repeated(2)
	if diff := cmp.Diff(want, ids(twice)); diff != "" {
		t.Error(diff)
	}
	if last := twice.Cases[3]; last.Of != p.Cases[1].ID || last.Repeat != 2 || last.Planned() != p.Cases[1].ID {
		t.Errorf("got %+v", last)
	}
	if once := p.Repeated(1); once.Cases[0].ID != p.Cases[0].ID || once.Cases[0].Planned() != p.Cases[0].ID {
		t.Errorf("got %v", ids(once))
	}
}
