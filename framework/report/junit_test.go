package report

import (
	"encoding/xml"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	ci "github.com/joshdk/go-junit"

	"github.com/cutset-dev/cutset/faultcalc"
	"github.com/cutset-dev/cutset/framework/plan"
	"github.com/cutset-dev/cutset/framework/verdict"
)

// everyOutcome is a report of a run in whose directory are the files that a case's output names.
func everyOutcome(t *testing.T) (dir string, r *Report) {
	t.Helper()
	dir = t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "logs"), 0o750); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"report.html", "history.jsonl", "consistency-x.html", "logs/s1-m1.log", "logs/s1-m2.log", "logs/s2-m2.log"} {
		if err := os.WriteFile(filepath.Join(dir, file), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const s = time.Second
	shards := []verdict.Shard{
		{Number: 1, Predicted: "available", Outage: 7 * s, OutageNormalized: 5 * s, PrimaryBefore: "s1-m1", PrimaryAfter: "s1-m2"},
		{Number: 2, Predicted: "unavailable", Outage: 12 * s, PrimaryBefore: "s2-m2"},
	}
	r = &Report{Run: "ha-x", Suite: "ha", Seed: 7, Fingerprint: "abc", Took: 100 * s, Coverage: []plan.Coverage{{Level: faultcalc.LevelMachine}}}
	for id, v := range map[string]verdict.Verdict{
		"ha:crash:machine:a":  {Outcome: verdict.Pass, Shards: shards},
		"ha:hang:machine:a@1": {Outcome: verdict.Slower, Shards: shards, Findings: []verdict.Finding{{Judge: "latency", Outcome: verdict.Slower, Message: "slow"}}},
		"ha:isolate:machine:a": {Outcome: verdict.Fail, Shards: shards, Findings: []verdict.Finding{
			{Judge: "durability", Outcome: verdict.Fail, Blame: verdict.Product, Shard: 1, Message: "shard 1 lost 20 acknowledged writes", Picture: "consistency-x.html"},
			{Judge: "availability", Outcome: verdict.Fail, Blame: verdict.Product, Shard: 1, Message: "a\x00b ]]> <c> \xff & \"d\""},
		}},
		"ha:drain:machine:a": {Outcome: verdict.Indeterminate, Findings: []verdict.Finding{{Judge: "proof", Outcome: verdict.Indeterminate, Blame: verdict.Harness, Message: "did not bite"}}},
	} {
		v.Took = 20 * s
		kind := strings.Split(id, ":")[1]
		c := Case{Verdict: v, Replay: "make run CASE=" + id, Case: plan.Case{
			ID: id, Kind: kind, Level: faultcalc.LevelMachine, Nodes: []string{"a"}, Predict: faultcalc.NoBackup, Sentence: kind + " {a}: table t must stay available",
		}}
		if before, _, repeated := strings.Cut(id, "@"); repeated {
			c.Of = before
		}
		r.Cases = append(r.Cases, c)
	}
	slices.SortFunc(r.Cases, func(a, b Case) int { return strings.Compare(a.ID, b.ID) })
	r.NotDone = []NotDone{{ID: "ha:crash:machine:b", Reason: "go test's timeout is near"}, {ID: "ha:crash:machine:c", Reason: "no history", Broken: true}}
	r.Count()
	return dir, r
}

// A reader of JUnit files that CI servers might use sees every case once, with the status that its outcome stands for.
func TestJUnit(t *testing.T) {
	dir, r := everyOutcome(t)
	file := filepath.Join(dir, "junit.xml")
	if err := r.WriteJUnit(file, []string{dir}); err != nil {
		t.Fatal(err)
	}
	suites, err := ci.IngestFile(file)
	if err != nil || len(suites) != 1 {
		t.Fatalf("%d suites: %v", len(suites), err)
	}
	status, tests := map[string]ci.Status{}, map[string]ci.Test{}
	for _, test := range suites[0].Tests {
		if _, twice := status[test.Name]; twice {
			t.Errorf("test %s is there twice", test.Name)
		}
		status[test.Name], tests[test.Name] = test.Status, test
	}
	want := map[string]ci.Status{
		"ha:crash:machine:a": ci.StatusPassed, "ha:hang:machine:a@1": ci.StatusPassed, "ha:isolate:machine:a": ci.StatusFailed,
		"ha:drain:machine:a": ci.StatusError, "ha:crash:machine:b": ci.StatusSkipped, "ha:crash:machine:c": ci.StatusError,
	}
	if diff := cmp.Diff(want, status); diff != "" {
		t.Errorf("status (-want +got):\n%s", diff)
	}
	failed := tests["ha:isolate:machine:a"]
	if failed.Message != clean(Explain(r.Cases[slices.IndexFunc(r.Cases, func(c Case) bool { return c.ID == failed.Name })])) {
		t.Errorf("the failure says %q", failed.Message)
	}
	for _, name := range []string{"report.html", "history.jsonl", "consistency-x.html", "logs/s1-m1.log", "logs/s1-m2.log"} {
		if line := "[[ATTACHMENT|" + filepath.Join(dir, name) + "]]\n"; !strings.Contains(failed.SystemOut+"\n", line) {
			t.Errorf("the failed case's output has no %q:\n%s", line, failed.SystemOut)
		}
	}
	if strings.Contains(failed.SystemOut, "s2-m2.log") || strings.Contains(tests["ha:crash:machine:a"].SystemOut, ".log") {
		t.Error("logs are attached that no finding is about")
	}
	if failed.Duration != 20*time.Second || suites[0].Properties["seed"] != "7" {
		t.Errorf("took %s; properties %v", failed.Duration, suites[0].Properties)
	}
}

// read is what a reader has of the counts and of the properties of tests.
type read struct {
	XMLName  xml.Name `xml:"testsuites"`
	Tests    int      `xml:"tests,attr"`
	Failures int      `xml:"failures,attr"`
	Errors   int      `xml:"errors,attr"`
	Skipped  int      `xml:"skipped,attr"`
	Suites   []struct {
		Tests    int `xml:"tests,attr"`
		Failures int `xml:"failures,attr"`
		Errors   int `xml:"errors,attr"`
		Skipped  int `xml:"skipped,attr"`
		Cases    []struct {
			Name       string `xml:"name,attr"`
			Classname  string `xml:"classname,attr"`
			Properties []struct {
				Name  string `xml:"name,attr"`
				Value string `xml:"value,attr"`
			} `xml:"properties>property"`
		} `xml:"testcase"`
	} `xml:"testsuite"`
}

func readJUnit(t *testing.T, file string) (whole read, properties map[string]map[string]string) {
	t.Helper()
	text, err := os.ReadFile(file) //nolint:gosec // the test's own
	if err != nil {
		t.Fatal(err)
	}
	if err := xml.Unmarshal(text, &whole); err != nil {
		t.Fatal(err)
	}
	properties = map[string]map[string]string{}
	for _, c := range whole.Suites[0].Cases {
		properties[c.Name] = map[string]string{}
		for _, p := range c.Properties {
			properties[c.Name][p.Name] = p.Value
		}
	}
	return whole, properties
}

func TestJUnitProperties(t *testing.T) {
	dir, r := everyOutcome(t)
	r.SetUpError = "no database"
	file := filepath.Join(dir, "junit.xml")
	if err := r.WriteJUnit(file, []string{dir}); err != nil {
		t.Fatal(err)
	}
	whole, properties := readJUnit(t, file)
	one := whole.Suites[0]
	if got := [...]int{one.Tests, one.Failures, one.Errors, one.Skipped, len(one.Cases)}; got != [...]int{7, 1, 3, 1, 7} {
		t.Errorf("tests, failures, errors, skipped, test cases: %v", got)
	}
	if whole.Tests != one.Tests || whole.Failures != one.Failures || whole.Errors != one.Errors || whole.Skipped != one.Skipped {
		t.Errorf("the sums are not those of the one suite: %+v", whole)
	}
	want := map[string]string{
		"sentence": "isolate {a}: table t must stay available", "fault-set": "a", "level": "machine", "kind": "isolate", "prediction": "no-backup", "verdict": "fail",
		"rto-seconds": "7.000", "rto-seconds-normalized": "5.000", "lost-writes": "20", "seed": "7", "replay": "make run CASE=ha:isolate:machine:a",
	}
	if diff := cmp.Diff(want, properties["ha:isolate:machine:a"]); diff != "" {
		t.Errorf("properties (-want +got):\n%s", diff)
	}
	if p := properties["ha:hang:machine:a@1"]; p["verdict"] != "slower" || p["repeat-of"] != "ha:hang:machine:a" {
		t.Errorf("properties of a slower repeat: %v", p)
	}
	if p := properties["ha:drain:machine:a"]; p["rto-seconds"] != "" {
		t.Errorf("a case in which no shard had to serve has an outage: %v", p)
	}
}
