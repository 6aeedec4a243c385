package plan

import (
	"encoding/json"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cutset-dev/cutset/faultcalc"
)

// ring is the worked example of the published method: t has shards {m1, m2}, {m2, m3}, {m3, m4}.
func ring() faultcalc.Topology {
	replica := func(instance string, role faultcalc.Role) faultcalc.Replica {
		return faultcalc.Replica{Instance: instance, Role: role, State: faultcalc.StateAvailable}
	}
	t := faultcalc.Topology{Tables: []faultcalc.Table{{Name: "t", Rule: faultcalc.RuleAny}}}
	for _, n := range []string{"1", "2", "3", "4"} {
		t.Machines = append(t.Machines, faultcalc.Machine{Name: "m" + n})
		t.Instances = append(t.Instances, faultcalc.Instance{Name: "i" + n, Machine: "m" + n})
	}
	for i, pair := range [][2]string{{"i1", "i2"}, {"i2", "i3"}, {"i3", "i4"}} {
		t.Tables[0].Shards = append(t.Tables[0].Shards, faultcalc.Shard{Number: i + 1, Replicas: []faultcalc.Replica{
			replica(pair[0], faultcalc.RolePrimary), replica(pair[1], faultcalc.RoleStandby),
		}})
	}
	return t
}

func spec() Spec {
	return Spec{
		Suite: "s", Seed: 1, Levels: []faultcalc.Level{faultcalc.LevelMachine}, Kinds: []string{"crash", "hang", "isolate", "server-kill"}, MaxCases: 100, MaxTime: time.Hour, EachCase: time.Second,
		Unsupported: func(faultcalc.Level, string) string { return "" },
	}
}

func ids(p Plan) (list []string) {
	for _, c := range p.Cases {
		list = append(list, c.ID)
	}
	return list
}

func TestBoundaryFirstOneKindEachInTurn(t *testing.T) {
	sp := spec()
	sp.Kinds = []string{"crash", "hang"}
	p, err := Make(ring(), sp)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		// the boundary: three minimal cuts, three maximal survivable sets
		"s:crash:machine:m1+m2", "s:hang:machine:m2+m3", "s:crash:machine:m3+m4",
		"s:hang:machine:m1+m3", "s:crash:machine:m1+m4", "s:hang:machine:m2+m4",
		// with the other kind
		"s:hang:machine:m1+m2", "s:crash:machine:m2+m3", "s:hang:machine:m3+m4",
		"s:crash:machine:m1+m3", "s:hang:machine:m1+m4", "s:crash:machine:m2+m4",
		// what else the published method has
		"s:crash:machine:m1+m2+m3", "s:hang:machine:m2+m3+m4", "s:crash:machine:m1+m2+m3+m4",
		"s:none:machine:none", "s:crash:machine:m1", "s:hang:machine:m4",
		"s:hang:machine:m1+m2+m3", "s:crash:machine:m2+m3+m4", "s:hang:machine:m1+m2+m3+m4",
		"s:hang:machine:m1", "s:crash:machine:m4",
	}
	if diff := cmp.Diff(want, ids(p)); diff != "" {
		t.Error(diff)
	}
	if share := p.Coverage[0].DecidedShare; share != 1 {
		t.Errorf("the boundary decides %v of all fault sets, want all", share)
	}
	first := p.Cases[0]
	if first.Sentence != "crash {m1, m2}: table t must become unavailable (shard 1), and recover" || !slices.Equal(first.Unavailable, []int{1}) {
		t.Errorf("got %+v", first)
	}
	if last := p.Cases[4]; last.Sentence != "crash {m1, m4}: table t must stay available" {
		t.Errorf("got %+v", last)
	}
}

func TestBudgetsSayWhatTheyLeaveOut(t *testing.T) {
	sp := spec()
	sp.MaxCases = 6
	p, err := Make(ring(), sp)
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Cases) != 6 || p.Coverage[0].DecidedShare != 1 {
		t.Errorf("six cases decide everything, got %d cases and %v", len(p.Cases), p.Coverage)
	}
	if len(p.LeftOut) == 0 || p.LeftOut[0].Reason != "beyond the budget of 6 cases" {
		t.Errorf("got %+v", p.LeftOut[:1])
	}
	sp.MaxTime = 3 * time.Second
	if p, err = Make(ring(), sp); err != nil || len(p.Cases) != 3 || p.LeftOut[0].Reason != "beyond the budget of 3s, at 1s a case" {
		t.Errorf("got %d cases, left out %+v, %v", len(p.Cases), p.LeftOut[:1], err)
	}
	if share := p.Coverage[0].DecidedShare; share >= 1 || share <= 0 {
		t.Errorf("three cuts decide a part, got %v", share)
	}
}

func TestUnsupportedKindsAreLeftOutWithTheReason(t *testing.T) {
	sp := spec()
	sp.Unsupported = func(_ faultcalc.Level, kind string) string {
		if kind == "isolate" {
			return "no network to cut"
		}
		return ""
	}
	p, err := Make(ring(), sp)
	if err != nil {
		t.Fatal(err)
	}
	if p.Cases = p.Cases[:6]; ids(p)[5] != "s:hang:machine:m2+m4" {
		t.Errorf("the kinds that can be injected cover the boundary in the first pass, got %v", ids(p))
	}
	if slices.ContainsFunc(p.Cases, func(c Case) bool { return c.Kind == "isolate" }) {
		t.Error("a case that can't be done is planned")
	}
	if !slices.Contains(p.LeftOut, LeftOut{"s:isolate:machine:…", "no network to cut"}) {
		t.Errorf("got %+v", p.LeftOut)
	}
	sp.Only = "s:isolate:machine:m1"
	if _, err := Make(ring(), sp); !errors.Is(err, ErrNoCase) || !strings.Contains(err.Error(), "no network to cut") {
		t.Errorf("asked for that case alone: got %v, want ErrNoCase with the reason", err)
	}
}

func TestPartsHaveAllCasesBetweenThem(t *testing.T) {
	p, err := Make(ring(), spec())
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for at := range 3 {
		part := p.Part(at+1, 3)
		all = append(all, ids(part)...)
		if len(part.Cases)+len(part.LeftOut) != len(p.Cases)+len(p.LeftOut) {
			t.Errorf("part %d says nothing about some cases", at+1)
		}
	}
	want := ids(p)
	slices.Sort(want)
	slices.Sort(all)
	if diff := cmp.Diff(want, all); diff != "" {
		t.Error(diff)
	}
}

func TestOnlyOneCase(t *testing.T) {
	sp := spec()
	sp.MaxCases, sp.Only = 1, "s:hang:machine:m4"
	p, err := Make(ring(), sp)
	if err != nil || !slices.Equal(ids(p), []string{sp.Only}) {
		t.Errorf("got %v, %v", ids(p), err)
	}
	sp.Only = "s:hang:machine:m9"
	if _, err := Make(ring(), sp); !errors.Is(err, ErrNoCase) {
		t.Errorf("got %v, want ErrNoCase", err)
	}
}

// They come first, since any budget should have one of each, and take no turn of a kind that decides.
func TestPassingKindsComeOnceAndFirst(t *testing.T) {
	sp := spec()
	sp.Kinds, sp.MaxCases = []string{"crash", "kubelet-stop", "hang"}, 7
	p, err := Make(ring(), sp)
	if err != nil {
		t.Fatal(err)
	}
	if p.Cases[0].ID != "s:kubelet-stop:machine:m1+m2" || p.Coverage[0].DecidedShare != 1 {
		t.Errorf("got %v, %v", ids(p), p.Coverage)
	}
}

// A fault that passes by itself leaves nothing down, whatever it hits.
func TestPassingFaultsPredictWhatIsThere(t *testing.T) {
	sp := spec()
	sp.Levels, sp.Kinds = []faultcalc.Level{faultcalc.LevelInstance}, []string{"server-kill"}
	p, err := Make(ring(), sp)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range p.Cases {
		if c.Predict == faultcalc.Unavailable || len(c.Unavailable) > 0 {
			t.Errorf("got %+v", c)
		}
	}
	if p.Coverage[0].DecidedShare != 0 {
		t.Error("faults that pass by themselves decide nothing about fault sets, got ", p.Coverage[0])
	}
}

// What goes on serving in part is planned where something else has a copy, and only by those who ask for it.
func TestServingKindsAreAskedForAndPredictOnlyWhatOthersServe(t *testing.T) {
	sp := spec()
	sp.Kinds = nil
	const all, cut, rest = "s:disk-full:machine:…", "s:disk-full:machine:m1+m2", "s:disk-full:machine:m1+m3"
	reason := func(p Plan, id string) string {
		at := slices.IndexFunc(p.LeftOut, func(l LeftOut) bool { return l.ID == id })
		if at < 0 {
			return ""
		}
		return p.LeftOut[at].Reason
	}
	p, err := Make(ring(), sp)
	if err != nil {
		t.Fatal(err)
	}
	if why := reason(p, all); !strings.HasSuffix(why, "-kinds=disk-full asks for it") {
		t.Errorf("not asked for: left out as %q", why)
	}
	sp.Kinds = []string{"disk-full"}
	if p, err = Make(ring(), sp); err != nil {
		t.Fatal(err)
	}
	if got := ids(p); slices.Contains(got, cut) || !slices.Contains(got, rest) || reason(p, cut) == "" {
		t.Errorf("asked for: got %v", got)
	}
	for _, c := range p.Cases {
		if c.Predict == faultcalc.Unavailable || c.Kind != Control && strings.Contains(c.Why, "passes by itself") {
			t.Errorf("got %+v", c)
		}
	}
	if p.Coverage[0].DecidedShare != 0 {
		t.Error("what serves in part decides nothing about what is down, got ", p.Coverage[0])
	}
	sp.Kinds, sp.Only = nil, rest
	if p, err = Make(ring(), sp); err != nil || !slices.Equal(ids(p), []string{rest}) {
		t.Errorf("asked for one case by its id: got %v, %v", ids(p), err)
	}
	sp.Only = cut
	if _, err := Make(ring(), sp); !errors.Is(err, ErrNoCase) || !strings.Contains(err.Error(), "nothing is predicted") {
		t.Errorf("asked for a case without a prediction: got %v, want ErrNoCase with the reason", err)
	}
}

func TestFreezeAndLoad(t *testing.T) {
	p, err := Make(ring(), spec())
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "plan.json")
	if err := p.Freeze(file); err != nil {
		t.Fatal(err)
	}
	if err := p.Freeze(file); err == nil {
		t.Error("a frozen plan was overwritten")
	}
	loaded, err := Load(file)
	if err != nil {
		t.Fatal(err)
	}
	again, err := Make(ring(), spec())
	if err != nil {
		t.Fatal(err)
	}
	one, _ := json.Marshal(loaded)
	two, _ := json.Marshal(again)
	if string(one) != string(two) {
		t.Error("the same topology and spec gave another plan")
	}
}

// The fingerprint holds what predictions rest on, and nothing that changes in a run.
func TestFingerprint(t *testing.T) {
	base := Fingerprint(ring())
	for _, c := range []struct {
		name   string
		change func(*faultcalc.Topology)
		same   bool
	}{
		{"failover", func(t *faultcalc.Topology) {
			r := t.Tables[0].Shards[0].Replicas
			r[0].Role, r[1].Role = r[1].Role, r[0].Role
		}, true},
		{"address", func(t *faultcalc.Topology) { t.Instances[0].Address = "10.0.0.9:5432" }, true},
		{"copy down", func(t *faultcalc.Topology) { t.Tables[0].Shards[0].Replicas[1].State = faultcalc.StateUnavailable }, false},
		{"copy may not be promoted", func(t *faultcalc.Topology) { t.Tables[0].Shards[0].Replicas[1].Role = faultcalc.RoleAsync }, false},
		{"copy moved", func(t *faultcalc.Topology) { t.Instances[0].Machine = "m4" }, false},
		{"rule", func(t *faultcalc.Topology) { t.Tables[0].Rule = faultcalc.RuleMajority }, false},
	} {
		topology := ring()
		c.change(&topology)
		if same := Fingerprint(topology) == base; same != c.same {
			t.Errorf("%s: same fingerprint is %v, want %v", c.name, same, c.same)
		}
	}
}
