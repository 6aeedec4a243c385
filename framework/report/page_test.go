package report

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cutset-dev/cutset/executor"
	"github.com/cutset-dev/cutset/faultcalc"
	"github.com/cutset-dev/cutset/framework/plan"
	"github.com/cutset-dev/cutset/framework/verdict"
)

var scripts = regexp.MustCompile(`(?s)<script.*?</script>`)

// Without JavaScript the page still has the headline, the verdicts and the failed cases with their evidence.
func TestWithoutScript(t *testing.T) {
	file, r := writePage(t, "failing")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	plain := scripts.ReplaceAllString(string(text), "")
	wanted := []string{"2 of 2 cases went against the prediction", ">718</b>", "0 of 16, machine level", "<b>3.2 s</b>", "0 indeterminate", "<small>high</small>"}
	for _, c := range r.Cases {
		wanted = append(wanted, c.Sentence, `<code>`+c.Replay+`</code>`, `id="`+strings.ReplaceAll(c.ID, "+", "&#43;")+`" open`)
		for _, f := range c.Verdict.Findings {
			wanted = append(wanted, "<strong>"+f.Message)
		}
	}
	for _, want := range wanted {
		if !strings.Contains(plain, want) && !strings.Contains(plain, strings.ReplaceAll(want, "+", "&#43;")) {
			t.Errorf("without its scripts the page has no %q", want)
		}
	}
	if bad, all := strings.Index(plain, `id="bad"`), strings.Index(plain, `id="cases"`); bad < 0 || bad > all {
		t.Error("the failed cases are not before the others")
	}
	for _, match := range regexp.MustCompile(`(?:src|href)="([^"]*)"`).FindAllStringSubmatch(plain, -1) {
		if !strings.HasPrefix(match[1], "#") && !strings.HasPrefix(match[1], "data:") {
			t.Errorf("the page needs %s", match[1])
		}
	}
}

// Whatever a database says in an error stays text.
func TestHostileText(t *testing.T) {
	const hostile = `</script><script>alert(1)</script><img src=x onerror=alert(2)>`
	dir, r := fixture(t, "healthy")
	r.SetUpError, r.Machines = hostile, hostile
	r.Cases[0].Verdict.Outcome, r.Cases[0].Verdict.Findings = verdict.Fail, []verdict.Finding{{Message: hostile}}
	r.Alerts = []executor.Alert{{Message: hostile, Err: hostile, Scope: r.Cases[0].ID}, {Message: hostile}}
	text, err := r.render([]string{dir}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(text), "<script>alert") || strings.Contains(string(text), "<img") {
		t.Error("the text of an error became part of the page")
	}
	if open, closed := strings.Count(string(text), "<script"), strings.Count(string(text), "</script>"); open != closed || open != 5 {
		t.Errorf("the page has %d scripts, and %d ends of scripts", open, closed)
	}
}

// A page with 200 cases is below 3 MB.
func TestSize(t *testing.T) {
	dir, r := fixture(t, "failing")
	topology, seen, err := evidence([]string{dir})
	if err != nil {
		t.Fatal(err)
	}
	first := r.Cases[0]
	r.Cases = nil
	for i := range 200 {
		c := first
		c.ID, c.Nodes = fmt.Sprintf("%s-%d", first.ID, i), []string{"m1", fmt.Sprint("m", i)}
		r.Cases = append(r.Cases, c)
		seen[c.ID] = seen[first.ID]
	}
	p, err := r.view(topology, seen, nil)
	if err != nil {
		t.Fatal(err)
	}
	text, err := p.fill()
	if err != nil {
		t.Fatal(err)
	}
	if t.Logf("%d kB", len(text)/1000); len(text) > 3e6 {
		t.Errorf("a page with 200 cases has %d bytes", len(text))
	}
}

// A run that was killed while a fault was in force has a time line up to there.
func TestKilledRun(t *testing.T) {
	dir, r := fixture(t, "failing")
	file := filepath.Join(dir, "history.jsonl")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	kept, _, found := strings.Cut(string(text), `"phase":{"name":"heal"`)
	if !found {
		t.Fatal("the saved history has no heal")
	}
	if err := os.WriteFile(file, []byte(kept), 0o600); err != nil {
		t.Fatal(err)
	}
	topology, seen, err := evidence([]string{dir})
	if err != nil {
		t.Fatal(err)
	}
	p, err := r.view(topology, seen, nil)
	if err != nil {
		t.Fatal(err)
	}
	if line := p.Data.Cases[r.Cases[0].ID]; line.Fault.To != line.To || line.To < 9 || len(p.Data.Cases) != 1 {
		t.Errorf("the fault of a killed run lasts until %v s, its time line until %v s", line.Fault.To, line.To)
	}
}

// A run that was never set up, or that did nothing, has a page too.
func TestEmptyRun(t *testing.T) {
	for want, r := range map[string]*Report{
		"The run was not set up": {Run: "x", SetUpError: "deploy the database: no space left"},
		"No case was done":       {Run: "x", LeftOut: []plan.LeftOut{{ID: "a", Reason: "cut short"}}},
	} {
		file := filepath.Join(t.TempDir(), "report.html")
		if err := r.WritePage(file, []string{t.TempDir()}, &Report{Run: "y"}); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(text), want) || !strings.Contains(string(text), r.SetUpError) {
			t.Errorf("the page does not say %q", want)
		}
	}
}

func TestCompare(t *testing.T) {
	now, then := &Report{Run: "now", Fingerprint: "a"}, &Report{Run: "then", Fingerprint: "b"}
	add := func(r *Report, id string, outcome verdict.Outcome, outage time.Duration) {
		r.Cases = append(r.Cases, Case{
			Case:    plan.Case{ID: id},
			Verdict: verdict.Verdict{Outcome: outcome, Shards: []verdict.Shard{{Predicted: "available", Outage: outage}}},
		})
	}
	const s = time.Second
	for _, c := range []struct {
		id           string
		before       verdict.Outcome
		beforeOutage time.Duration
		after        verdict.Outcome
		afterOutage  time.Duration
	}{
		{"same", verdict.Pass, 4 * s, verdict.Pass, 4500 * time.Millisecond},
		{"a little of a long one", verdict.Pass, 20 * s, verdict.Pass, 22 * s},
		{"fixed", verdict.Fail, 4 * s, verdict.Pass, 4 * s},
		{"slower", verdict.Pass, 4 * s, verdict.Pass, 6 * s},
		{"faster", verdict.Pass, 6 * s, verdict.Pass, 4 * s},
		{"broken", verdict.Pass, 4 * s, verdict.Fail, 4 * s},
		{"doubtful", verdict.Pass, 4 * s, verdict.Indeterminate, 4 * s},
		{"decided", verdict.Indeterminate, 4 * s, verdict.Fail, 4 * s},
		{"new", "", 0, verdict.Pass, 1 * s},
		{"gone", verdict.Pass, 1 * s, "", 0},
	} {
		if c.before != "" {
			add(then, c.id, c.before, c.beforeOutage)
		}
		if c.after != "" {
			add(now, c.id, c.after, c.afterOutage)
		}
	}
	got := compare(now, then)
	var rows []string
	for _, r := range got.Rows {
		rows = append(rows, r.Change.String()+": "+r.ID)
	}
	want := []string{
		"regression: broken", "regression: doubtful", "regression: decided", "longer outage: slower", "improvement: fixed",
		"shorter outage: faster", "only now: new", "only then: gone", "same: same", "same: a little of a long one",
	}
	if diff := cmp.Diff(want, rows); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
	if got.Regressions != 4 || got.Improvements != 2 || got.Same != 2 || got.Only != 2 || !got.OtherShape {
		t.Errorf("the comparison counts wrongly: %+v", got)
	}
}

func TestHeadline(t *testing.T) {
	_, r := fixture(t, "healthy")
	r.AlertsByTier = map[string]int{"low": 7, "critical": 1}
	var views []caseView
	for _, c := range r.Cases {
		views = append(views, caseView{Case: c})
	}
	control := caseView{Case: views[0].Case, Lost: 3}
	control.ID, control.Kind = "c", plan.Control
	control.Verdict.Shards = []verdict.Shard{{Predicted: "available", Outage: time.Hour}}
	h := r.head(append(views, control))
	if h.Worst != "8.9 s" || h.Median != "7.3 s" || h.WorstCase != "ha:crash:machine:m1+m3" {
		t.Errorf("outages: %s, %s, in %s", h.Worst, h.Median, h.WorstCase)
	}
	if h.Lost != 3 || h.LosingCases != 1 || h.Sentence != "All 4 cases went as predicted" || h.Outcome != verdict.Pass {
		t.Errorf("headline: %+v", h)
	}
	if want := []tierCount{{"critical", 1}, {"low", 7}}; !slices.Equal(h.Alerts, want) {
		t.Errorf("alerts: %v, want %v", h.Alerts, want)
	}
	r.Counts.Indeterminate = 1
	if h := r.head(views); h.Sentence != "1 of 3 cases decided nothing" || h.Outcome != verdict.Indeterminate {
		t.Errorf("headline: %+v", h)
	}
}

func TestOutages(t *testing.T) {
	dir, r := fixture(t, "healthy")
	topology, _, err := evidence([]string{dir})
	if err != nil {
		t.Fatal(err)
	}
	points, rows := r.outages(topology)
	if len(points) != 8 { // three cases of three shards, one of which is predicted to be down
		t.Errorf("%d shards had to serve: %+v", len(points), points)
	}
	want := []outageRow{
		{"crash", true, 3, "7.3 s", "7.8 s", "8.9 s"},
		{"crash", false, 2, "0.7 s", "0.7 s", "2.0 s"},
		{"server-kill", true, 1, "4.2 s", "4.2 s", "4.2 s"},
		{"server-kill", false, 2, "0.1 s", "0.1 s", "0.2 s"},
	}
	if diff := cmp.Diff(want, rows); diff != "" {
		t.Errorf("outages (-want +got):\n%s", diff)
	}
}

// A machine with both copies of a shard is a single point of failure, and the picture says so.
func TestPictures(t *testing.T) {
	topology := faultcalc.Topology{
		Machines: []faultcalc.Machine{{Name: "m1"}, {Name: "m2"}, {Name: "m3"}},
		Instances: []faultcalc.Instance{
			{Name: "a", Machine: "m1"}, {Name: "b", Machine: "m1"}, {Name: "c", Machine: "m1"}, {Name: "d", Machine: "m3"},
		},
		Tables: []faultcalc.Table{{Name: "t", Shards: []faultcalc.Shard{
			{Number: 1, Replicas: []faultcalc.Replica{{Instance: "a", Role: faultcalc.RolePrimary}, {Instance: "b"}}},
			{Number: 2, Replicas: []faultcalc.Replica{{Instance: "c", Role: faultcalc.RolePrimary}, {Instance: "d"}}},
		}}},
	}
	r := &Report{
		Coverage: []plan.Coverage{{Level: faultcalc.LevelMachine}, {Level: faultcalc.LevelInstance}},
		Cases: []Case{{
			Case: plan.Case{
				ID: "s:crash:instance:c+d", Level: faultcalc.LevelInstance, Kind: "crash", Nodes: []string{"c", "d"}, Predict: faultcalc.Unavailable,
			},
			Verdict: verdict.Verdict{Outcome: verdict.Pass},
		}},
	}
	got, err := r.pictures(topology)
	if err != nil {
		t.Fatal(err)
	}
	machines, instances := got[0], got[1]
	if !slices.Equal(machines.Single, []string{"m1"}) || !machines.Rows[0].Single || len(machines.Rows[0].Roles[0]) != 2 {
		t.Errorf("machine m1 has all of shard 1: %+v", machines)
	}
	wantCuts := []cutSet{
		{Nodes: []string{"a", "b"}, Shards: []int{1}},
		{Nodes: []string{"c", "d"}, Shards: []int{2}, Tested: []tested{{"s:crash:instance:c+d", "crash", verdict.Pass}}},
	}
	if diff := cmp.Diff(wantCuts, instances.Cuts); diff != "" || len(instances.Single) > 0 {
		t.Errorf("instances (-want +got):\n%s", diff)
	}
	wantLine := []membership{{true, false, true}, {true, true, false}, {}, {}}
	for i, row := range instances.Rows {
		if row.In[0] != wantLine[i] {
			t.Errorf("the line through the first cut set: %s has %+v, want %+v", row.Node, row.In[0], wantLine[i])
		}
	}
}
