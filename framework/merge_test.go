package framework

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cutset-dev/cutset/faultcalc"
	"github.com/cutset-dev/cutset/framework/plan"
	"github.com/cutset-dev/cutset/framework/report"
	"github.com/cutset-dev/cutset/framework/verdict"
)

// twoShards is a table of two shards on three machines.
func twoShards() faultcalc.Topology {
	topology := faultcalc.Topology{Tables: []faultcalc.Table{{Name: "t", Rule: faultcalc.RuleAny}}}
	for _, n := range []string{"1", "2", "3"} {
		topology.Machines = append(topology.Machines, faultcalc.Machine{Name: "m" + n})
		topology.Instances = append(topology.Instances, faultcalc.Instance{Name: "i" + n, Machine: "m" + n})
	}
	for i, pair := range [][2]string{{"i1", "i2"}, {"i2", "i3"}} {
		shard := faultcalc.Shard{Number: i + 1}
		for _, name := range pair {
			shard.Replicas = append(shard.Replicas, faultcalc.Replica{Instance: name, Role: faultcalc.RoleStandby, State: faultcalc.StateAvailable})
		}
		topology.Tables[0].Shards = append(topology.Tables[0].Shards, shard)
	}
	return topology
}

// saveRun writes what a run of the plan leaves, in which every case passed.
func saveRun(t *testing.T, dir string, topology faultcalc.Topology, p, part plan.Plan) *report.Report {
	t.Helper()
	re := &report.Report{Run: filepath.Base(dir), Suite: p.Suite, Fingerprint: p.Fingerprint, LeftOut: part.LeftOut, AlertsByTier: map[string]int{"info": 1}}
	for _, c := range part.Cases {
		re.Cases = append(re.Cases, report.Case{Case: c, Verdict: verdict.Verdict{Case: c.ID, Outcome: verdict.Pass}})
	}
	re.Count()
	var err error
	if re.Coverage, err = plan.Cover(topology, levelsOf(p), re.Decided()); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		t.Fatal(err)
	}
	for _, step := range []error{
		p.Freeze(filepath.Join(dir, "plan.json")), writeJSON(filepath.Join(dir, "topology.json"), topology),
		re.Write(filepath.Join(dir, "report.json")),
	} {
		if step != nil {
			t.Fatal(step)
		}
	}
	return re
}

func TestMergedShardsAreTheUnshardedRun(t *testing.T) {
	topology := twoShards()
	p, err := plan.Make(topology, plan.Spec{
		Suite: "s", Seed: 1, Levels: []faultcalc.Level{faultcalc.LevelMachine}, Kinds: []string{"crash", "hang"}, MaxCases: 7, MaxTime: time.Hour,
		EachCase: time.Second, Unsupported: func(faultcalc.Level, string) string { return "" },
	})
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	whole := saveRun(t, filepath.Join(root, "whole"), topology, p, p)
	var dirs []string
	for at := range 3 {
		dir := filepath.Join(root, fmt.Sprint("part", at))
		saveRun(t, dir, topology, p, p.Part(at+1, 3))
		dirs = append(dirs, dir)
	}
	into := filepath.Join(root, "merged")
	merged, err := Merge(into, dirs)
	if err != nil {
		t.Fatal(err)
	}
	big := cmp.Comparer(func(a, b plan.Coverage) bool { return a.String() == b.String() })
	for i := range merged.Cases {
		if c := &merged.Cases[i]; !strings.HasPrefix(c.Run, "part") {
			t.Errorf("case %s is of run %q", c.ID, c.Run)
		} else {
			c.Run = ""
		}
	}
	if diff := cmp.Diff(whole.Cases, merged.Cases); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(whole.Coverage, merged.Coverage, big); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(whole.LeftOut, merged.LeftOut); diff != "" || merged.Counts != whole.Counts || merged.AlertsByTier["info"] != 3 {
		t.Errorf("%s %+v %v", diff, merged.Counts, merged.AlertsByTier)
	}
	junit, err := os.ReadFile(filepath.Join(into, "junit.xml")) //nolint:gosec // the test's own
	if err != nil || strings.Count(string(junit), "<testcase") != len(p.Cases) || strings.Count(string(junit), `name="replay"`) != len(p.Cases) {
		t.Errorf("the merged junit.xml has not one test case per case: %v\n%s", err, junit)
	}
	if _, err := Merge(into, append(dirs, dirs[0])); err == nil || !strings.Contains(err.Error(), "two runs did case") {
		t.Errorf("a shard given twice: got %v", err)
	}
	if _, err := Merge(into, nil); err == nil {
		t.Error("merged nothing")
	}
	other := p
	other.Fingerprint = "another"
	saveRun(t, filepath.Join(root, "other"), topology, other, other)
	if _, err := Merge(into, append(dirs, filepath.Join(root, "other"))); err == nil || !strings.Contains(err.Error(), "only shards of one plan") {
		t.Errorf("a run of another topology: got %v", err)
	}
}

func TestPartOfAPlan(t *testing.T) {
	for value, ok := range map[string]bool{"": true, "1/3": true, "3/3": true, "4/3": false, "0/3": false, "1/3x": false, "one": false} {
		c := config{provider: "embedded", world: "auto", slowdown: defaultSlowdown, shard: value}
		if err := c.check(); (err == nil) != ok {
			t.Errorf("-shard=%q: got %v", value, err)
		}
	}
}
