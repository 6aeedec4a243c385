package report

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cutset-dev/cutset/framework/history"
	"github.com/cutset-dev/cutset/framework/plan"
	"github.com/cutset-dev/cutset/framework/verdict"
)

// Evidence is told from the injection of the case that it is of, and links lead from the page to the run that has the file.
func TestEvidence(t *testing.T) {
	const s = time.Second
	injected := func(at time.Duration) *observed {
		return &observed{steps: []step{{at - s, history.Phase{Name: history.Started}}, {at, history.Phase{Name: history.Inject}}}}
	}
	w := witness{
		seen: map[string]*observed{"a": injected(10 * s), "b": injected(40 * s)},
		dir:  filepath.Join("out", "merged"), runs: []string{filepath.Join("out", "part0"), filepath.Join("out", "part1")},
	}
	c := Case{Case: plan.Case{ID: "b"}, Run: "part1", Verdict: verdict.Verdict{Findings: []verdict.Finding{
		{Writes: []verdict.Write{
			{ID: 1, Answered: 42 * s, Case: "b", Instance: "s1-m1", Server: "10.0.0.1:5432", Fault: "isolate {m1}"},
			{ID: 2, Answered: 12 * s, Case: "a", Server: "10.0.0.1:5432"},
			{ID: 3, Answered: 12 * s, Case: "gone"},
		}},
		{Instances: []string{"s1-m1", "s1-m2"}, From: 41 * s, To: 43*s + s/2, Picture: "consistency-b.html"},
	}}}
	got := w.findings(c)
	var lines []string
	for _, write := range got[0].Writes {
		lines = append(lines, write.By+": "+write.When)
	}
	want := []string{"s1-m1: 2.0 s after the injection", "10.0.0.1:5432: 2.0 s after the injection in a", ": 12.0 s after the start of the run in gone"}
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Errorf("writes (-want +got):\n%s", diff)
	}
	if got[0].When != "" || got[0].Link != "" {
		t.Errorf("a finding of no time and without a picture has %q and %q", got[0].When, got[0].Link)
	}
	if got[1].When != "1.0 s to 3.5 s after the injection" || got[1].Link != "../part1/consistency-b.html" {
		t.Errorf("when: %q, its picture: %q", got[1].When, got[1].Link)
	}
}

// The page has all that the judges know of each case.
func TestPageShowsWhatJudgesKnow(t *testing.T) {
	for name, more := range map[string][]string{
		"failing": {
			"<p>s2-m2, s2-m3, ", ">Drawn, operation by operation</a>", "<summary>The first 10 of 228 writes</summary>", "<strong>{m1}</strong> (ha:isolate:machine:m1@part); ",
			"came late, by", "<caption>Outages of more than half a second",
		},
		"healthy": {
			`<span class="verdict slower">1 slower</span>`, `<option>slower</option>`, `href="#ha%3acrash%3amachine%3am1%2bm2%401"`, "<div>2 pass</div><div>1 slower</div>",
			"<caption>Failovers by phase", " · run 2</h3>",
		},
	} {
		dir, r := fixture(t, name)
		enrich(r)
		text, err := r.render(dir, []string{dir}, nil)
		if err != nil {
			t.Fatal(err)
		}
		plain := strings.ReplaceAll(scripts.ReplaceAllString(string(text), ""), "&#43;", "+")
		for _, c := range r.Cases {
			for _, f := range c.Verdict.Findings {
				more = append(more, f.Message)
				for _, w := range f.Writes[:min(len(f.Writes), mostShown)] {
					more = append(more, ">"+w.Client+"</td><td>"+w.Instance+"</td>")
				}
			}
			for _, s := range c.Verdict.Shards {
				if l := s.Latency; l != nil {
					more = append(more, millis(l.Before)+" → "+millis(l.During))
				}
				if f := s.Failover; f != nil {
					more = append(more, f.From+" → <strong>"+f.To+"</strong></td><td class=\"number\">"+seconds(f.Detect)+"</td><td class=\"number\">"+seconds(f.Promote))
				}
			}
		}
		for _, want := range more {
			if !strings.Contains(plain, want) {
				t.Errorf("%s: the page has no %q", name, want)
			}
		}
	}
}
