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
	wanted := []string{"2 of 2 cases went against the prediction", ">464</b>", "0 of 16, machine level", "<b>3.4 s</b>", "0 indeterminate", "<small>high</small>"}
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
		picture, _ := filepath.Match("consistency-*.html", match[1]) // which a reader may go to, and the page does without
		if !strings.HasPrefix(match[1], "#") && !strings.HasPrefix(match[1], "data:") && !picture {
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
	text, err := r.render(dir, []string{dir}, nil)
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
	p, err := r.view(witness{seen: seen}, topology, nil)
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
	p, err := r.view(witness{seen: seen}, topology, nil)
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
		{"slow now", verdict.Pass, 4 * s, verdict.Slower, 4 * s},
		{"not slow any more", verdict.Slower, 4 * s, verdict.Pass, 4 * s},
		{"worse than slow", verdict.Slower, 4 * s, verdict.Indeterminate, 4 * s},
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
		"regression: broken", "regression: doubtful", "regression: decided", "regression: slow now",
		"regression: worse than slow", "longer outage: slower", "improvement: fixed", "improvement: not slow any more",
		"shorter outage: faster", "only now: new", "only then: gone", "same: same", "same: a little of a long one",
	}
	if diff := cmp.Diff(want, rows); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
	if got.Regressions != 6 || got.Improvements != 3 || got.Same != 2 || got.Only != 2 || !got.OtherShape {
		t.Errorf("the comparison counts wrongly: %+v", got)
	}
}

// Repeats are compared run by run where both runs did as many, and else as one.
func TestCompareRepeats(t *testing.T) {
	const s = time.Second
	run := func(of string, outages ...time.Duration) (cases []Case) {
		for i, outage := range outages {
			c := Case{Case: plan.Case{ID: fmt.Sprintf("%s@%d", of, i+1), Of: of, Repeat: i + 1}}
			c.Verdict = verdict.Verdict{Outcome: verdict.Pass, Shards: []verdict.Shard{{Predicted: "available", Outage: outage}}}
			cases = append(cases, c)
		}
		return cases
	}
	once := Case{Case: plan.Case{ID: "c"}, Verdict: verdict.Verdict{Outcome: verdict.Pass, Shards: []verdict.Shard{{Predicted: "available", Outage: 4 * s}}}}
	now := &Report{Cases: slices.Concat(run("a", 4*s, 9*s), run("b", 4*s, 5*s, 6*s), run("c", 6*s, 9*s))}
	then := &Report{Cases: slices.Concat(run("a", 4*s, 4*s), run("b", 5*s, 20*s), []Case{once})}
	then.Cases[2].Verdict.Outcome = verdict.Fail
	got := compare(now, then)
	want := []compared{
		{"a@2", "a@2", longerOutage, "pass, 4.0 s", "pass, 9.0 s"},
		{"c", "c@1", longerOutage, "pass, 4.0 s", "pass at worst of 2 runs, 6.0 s in the median"},
		{"b", "b@1", improved, "fail at worst of 2 runs, 5.0 s in the median", "pass at worst of 3 runs, 5.0 s in the median"},
		{"a@1", "a@1", same, "pass, 4.0 s", "pass, 4.0 s"},
	}
	if diff := cmp.Diff(want, got.Rows); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
}

func TestRepeats(t *testing.T) {
	const s = time.Second
	r := &Report{Cases: []Case{{Case: plan.Case{ID: "once"}, Verdict: verdict.Verdict{Outcome: verdict.Pass}}}}
	for i := range 10 {
		c := Case{Case: plan.Case{ID: fmt.Sprintf("c@%d", i+1), Of: "c", Repeat: i + 1}, Verdict: verdict.Verdict{Outcome: verdict.Pass}}
		shard := verdict.Shard{Predicted: "available", Outage: time.Duration(10-i) * s, OutageNormalized: time.Duration(10-i) * s / 2}
		if i < 3 {
			shard.Failover = &verdict.Failover{Detect: time.Duration(i+1) * s, Promote: s, Serve: s / 2, Total: time.Duration(i+1)*s + 3*s/2}
		}
		c.Verdict.Shards = []verdict.Shard{shard, {Predicted: "unavailable", Outage: 99 * s}}
		r.Cases = append(r.Cases, c)
	}
	r.Cases[3].Verdict.Outcome, r.Cases[4].Verdict.Outcome = verdict.Slower, verdict.Fail
	r.Count()
	want := []Repeats{{
		Case: "c", Runs: 10, Outcomes: Counts{Pass: 8, Slower: 1, Fail: 1},
		Outage:           &Distribution{s, 5 * s, 9 * s, 10 * s},
		OutageNormalized: &Distribution{s / 2, 5 * s / 2, 9 * s / 2, 5 * s},
		Failover:         &Phases{Failovers: 3, Detect: 2 * s, Promote: s, Serve: s / 2, Total: 7 * s / 2},
	}}
	if diff := cmp.Diff(want, r.Repeats); diff != "" {
		t.Errorf("repeats (-want +got):\n%s", diff)
	}
	if len(r.Decided()) != 10 {
		t.Errorf("%d of 11 cases decide something, want all but the failed one", len(r.Decided()))
	}
	line := "c: 10 runs: 8 pass, 1 slower, 1 fail; outage 1.0 s least, 5.0 s median, 9.0 s p90, 10.0 s longest (load-normalized: 0.5 s least,"
	if got := r.Repeats[0].String(); !strings.HasPrefix(got, line) || !strings.Contains(got, "detect 2.0 s, promote 1.0 s, serve 0.5 s") {
		t.Errorf("the summary says %q", got)
	}
}

func TestHeadline(t *testing.T) {
	_, r := fixture(t, "healthy")
	r.AlertsByTier = map[string]int{"low": 7, "critical": 1}
	control := r.Cases[0]
	control.ID, control.Kind = "c", plan.Control
	control.Verdict.Shards = []verdict.Shard{{Predicted: "available", Outage: time.Hour}}
	control.Verdict.Findings = []verdict.Finding{{Judge: "durability", Message: "shard 1 lost 3 acknowledged writes"}}
	done := r.Cases
	r.Cases = append(slices.Clone(done), control)
	h := r.head()
	if h.Worst != "8.6 s" || h.Median != "8.3 s" || h.WorstCase != "ha:crash:machine:m1+m2@1" {
		t.Errorf("outages: %s, %s, in %s", h.Worst, h.Median, h.WorstCase)
	}
	if h.Lost != 3 || h.LosingCases != 1 || h.Sentence != "All 10 cases went as predicted" || h.Outcome != verdict.Pass {
		t.Errorf("headline: %+v", h)
	}
	if want := []tierCount{{"critical", 1}, {"low", 7}}; !slices.Equal(h.Alerts, want) {
		t.Errorf("alerts: %v, want %v", h.Alerts, want)
	}
	r.Cases = done
	r.Counts.Slower = 1
	if h := r.head(); h.Sentence != "All 9 cases went as predicted, 1 slower than allowed" || h.Outcome != verdict.Slower {
		t.Errorf("headline: %+v", h)
	}
	r.Counts.Indeterminate = 1
	if h := r.head(); h.Sentence != "1 of 9 cases decided nothing" || h.Outcome != verdict.Indeterminate {
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
	if len(points) != 21 { // three runs each of three cases of three shards, one of which is predicted to be down in two
		t.Errorf("%d shards had to serve: %+v", len(points), points)
	}
	want := []outageRow{
		{"crash", true, 6, "8.1 s", "8.4 s", "8.6 s"},
		{"crash", false, 6, "0.5 s", "0.6 s", "0.9 s"},
		{"server-kill", true, 3, "1.3 s", "4.1 s", "6.2 s"},
		{"server-kill", false, 6, "0.1 s", "0.2 s", "0.3 s"},
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
		{Nodes: []string{"c", "d"}, Shards: []int{2}, Tested: []tested{{"s:crash:instance:c+d", "crash", verdict.Pass, 1}}},
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
