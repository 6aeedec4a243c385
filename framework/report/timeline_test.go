package report

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cutset-dev/cutset/faultcalc"
	"github.com/cutset-dev/cutset/framework/history"
	"github.com/cutset-dev/cutset/framework/verdict"
)

// answers returns five a second.
func answers(from, to time.Duration) (ends []time.Duration) {
	for at := from; at <= to; at += time.Second / 5 {
		ends = append(ends, at)
	}
	return ends
}

func TestService(t *testing.T) {
	const s = time.Second
	for _, c := range []struct {
		name   string
		cut    bool
		settle time.Duration
		ends   []time.Duration
		want   []span
	}{
		{"always", false, 0, answers(0, 20*s), []span{{-3, 15, serves}}},
		{"never", false, 0, nil, []span{{-3, 15, silent}}},
		{"not before the picture begins", false, 0, answers(0, s), []span{{-3, 15, silent}}},
		{
			"fails over", false, 0, slices.Concat(answers(0, 5*s), answers(9*s, 20*s)),
			[]span{{-3, 0, serves}, {0, 4, silent}, {4, 15, serves}},
		},
		{"a hiccup is no outage", false, 0, slices.Concat(answers(0, 5*s), answers(5*s+quiet, 20*s)), []span{{-3, 15, serves}}},
		{
			"down as predicted, and back after the heal", true, 0, slices.Concat(answers(0, 5*s), answers(17*s, 20*s)),
			[]span{{-3, 0, serves}, {0, 10, silentDue}, {10, 12, silent}, {12, 15, serves}},
		},
		{
			"serves as long as it may, to settle", true, 4 * s, slices.Concat(answers(0, 8*s), answers(15*s, 20*s)),
			[]span{{-3, 0, serves}, {0, 3, serves}, {3, 10, silentDue}, {10, 15, serves}},
		},
		{
			"serves where it must not", true, s, slices.Concat(answers(0, 5*s), answers(8*s, 9*s), answers(15*s, 20*s)),
			[]span{{-3, 0, serves}, {0, 3, silentDue}, {3, 4, servesUndue}, {4, 10, silentDue}, {10, 15, serves}},
		},
	} {
		o := &observed{planned: history.Planned{Budget: history.Budget{Settle: c.settle}}}
		d := drawing{observed: o, zero: 5 * s, from: 2 * s, to: 20 * s, downFrom: 5 * s, downTo: 15 * s}
		if diff := cmp.Diff(c.want, d.service(c.ends, c.cut)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

// The time lines of the saved runs say what their verdicts say.
func TestTimelines(t *testing.T) {
	for _, name := range []string{"healthy", "failing"} {
		dir, r := fixture(t, name)
		_, seen, err := evidence([]string{dir})
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range r.Cases {
			line := seen[c.ID].draw(c.Verdict, nil)
			if line.Zero != "the injection" || line.Fault == nil || line.Fault.From != 0 || len(line.Steps) < 6 {
				t.Errorf("%s: the picture has no fault or too few steps: %+v", c.ID, line)
			}
			for _, s := range c.Verdict.Shards {
				agrees(t, line, s)
			}
		}
	}
}

// agrees compares the rows of a shard with what the verdict says about it.
func agrees(t *testing.T, line *timeline, s verdict.Shard) {
	t.Helper()
	var longest float64
	promoted := []string{}
	for _, r := range line.Rows {
		if r.Shard != s.Number {
			continue
		}
		for i, span := range r.Spans {
			if span.To < span.From || span.From < line.From || span.To > line.To {
				t.Errorf("shard %d: %s: the span %+v is outside of the picture", s.Number, r.Name, span)
			}
			if span.State == silent && span.From < line.Fault.To || span.State == silentDue {
				longest = max(longest, span.To-span.From)
			}
			if r.Name == "predicted" && i == 1 != (s.Predicted == "unavailable" && span.State == predictedNot) {
				t.Errorf("shard %d is predicted %s, and the picture says %v", s.Number, s.Predicted, r.Spans)
			}
		}
		for _, m := range r.Marks {
			promoted = append(promoted, m.Text)
		}
	}
	// The verdict looks from the injection to the first heal, and the picture until all are done.
	healing := 0.25
	for _, step := range line.Steps {
		if step.Text == string(history.Heal) {
			healing += line.Fault.To - step.At
		}
	}
	if outage := s.Outage.Seconds(); outage > quiet.Seconds()+0.1 && (longest < outage-0.1 || longest > outage+healing) {
		t.Errorf("shard %d: the verdict says %.1f s of outage, the picture %.1f s", s.Number, outage, longest)
	}
	if want := s.FailedOver(); want != slices.Contains(promoted, s.PrimaryAfter) {
		t.Errorf("shard %d: %s was primary, and then %s; the picture has %v take over", s.Number, s.PrimaryBefore, s.PrimaryAfter, promoted)
	}
}

// The picture has as lost what the verdict found lost, by whom and when.
func TestLosses(t *testing.T) {
	dir, r := fixture(t, "failing")
	_, seen, err := evidence([]string{dir})
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, c := range r.Cases {
		for _, f := range c.Verdict.Findings {
			for _, w := range f.Writes {
				found++
				if !slices.ContainsFunc(seen[c.ID].lost, func(l loss) bool {
					return l.shard == f.Shard && l.instance == w.Instance && l.first <= w.Answered && w.Answered <= l.last
				}) {
					t.Errorf("%s: write %d, which %s acknowledged and shard %d lost, is not in the picture: %+v", c.ID, w.ID, w.Instance, f.Shard, seen[c.ID].lost)
				}
			}
		}
		if (len(seen[c.ID].lost) > 0) != (c.Lost() > 0) {
			t.Errorf("%s: the verdict has %d lost writes, the picture %+v", c.ID, c.Lost(), seen[c.ID].lost)
		}
	}
	if found == 0 {
		t.Error("no write of the saved run was lost")
	}
}

// The phases of a failover follow one another, from the injection.
func TestFailoverInThePicture(t *testing.T) {
	const s = time.Second
	d := drawing{observed: &observed{}, zero: 5 * s, downFrom: 5 * s, downTo: 15 * s}
	got := d.failover(verdict.Failover{Detect: 3 * s, Promote: s, Serve: s / 2, Redundancy: 2 * s})
	want := []span{{0, 3, detecting}, {3, 4, promoting}, {4, 4.5, toFirstWrite}, {10, 12, restoring}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("spans (-want +got):\n%s", diff)
	}
	if got := d.failover(verdict.Failover{Detect: 3 * s}); got[len(got)-1].State == restoring {
		t.Errorf("redundancy that was not reached is drawn: %+v", got)
	}
}

func TestInstanceAt(t *testing.T) {
	topology := faultcalc.Topology{
		Machines: []faultcalc.Machine{{Name: "m1", Addresses: []string{"10.0.0.1"}}, {Name: "m2", Addresses: []string{"10.0.0.2"}}},
		Instances: []faultcalc.Instance{
			{Name: "a", Machine: "m1", Address: "10.0.0.1:5433"}, {Name: "b", Machine: "m1", Address: "b.svc:5433"}, {Name: "c", Machine: "m2"},
		},
		Tables: []faultcalc.Table{{Shards: []faultcalc.Shard{
			{Number: 1, Replicas: []faultcalc.Replica{{Instance: "a"}, {Instance: "c"}}}, {Number: 2, Replicas: []faultcalc.Replica{{Instance: "b"}}},
		}}},
	}
	for _, c := range []struct {
		shard         int
		address, want string
	}{
		{1, "10.0.0.1:5433", "a"},
		{2, "10.0.0.1:31000", "b"}, // through a port of its machine
		{1, "10.0.0.2:5433", "c"},
		{2, "10.0.0.2:5433", "10.0.0.2:5433"}, // no copy there
		{1, "elsewhere:1", "elsewhere:1"},
		{1, "/run/socket", "/run/socket"},
	} {
		if got := instanceAt(topology, c.shard, c.address); got != c.want {
			t.Errorf("shard %d at %s: %s, want %s", c.shard, c.address, got, c.want)
		}
	}
}
