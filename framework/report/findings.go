package report

import (
	"cmp"
	"fmt"
	"path/filepath"
	"time"

	"github.com/cutset-dev/cutset/framework/history"
	"github.com/cutset-dev/cutset/framework/verdict"
)

// findingView is a finding with its evidence as the page shows it.
type findingView struct {
	verdict.Finding
	When   string // "" where it is about no time
	Link   string // to its picture
	Writes []writeView
}

// writeView is a write that was lost, or the like.
type writeView struct {
	verdict.Write
	By   string // who answered
	When string
}

const mostShown = 10 // writes of a finding; report.json has more

// witness knows what was seen in the runs, and where their files are.
type witness struct {
	seen map[string]*observed
	dir  string // of the page
	runs []string
}

// findings are those of a case.
func (w witness) findings(c Case) (views []findingView) {
	for _, f := range c.Verdict.Findings {
		view := findingView{Finding: f}
		if f.To > 0 {
			view.When = fmt.Sprintf("%s to %s", w.after(c.ID, f.From), w.when(c.ID, f.To))
		}
		if f.Picture != "" {
			view.Link = f.Picture
			if relative, err := filepath.Rel(w.dir, filepath.Join(c.dirOf(w.runs), f.Picture)); err == nil {
				view.Link = filepath.ToSlash(relative)
			}
		}
		for _, write := range f.Writes[:min(len(f.Writes), mostShown)] {
			when := w.when(write.Case, write.Answered)
			if write.Case != c.ID {
				when += " in " + write.Case
			}
			view.Writes = append(view.Writes, writeView{write, cmp.Or(write.Instance, write.Server), when})
		}
		views = append(views, view)
	}
	return views
}

// after is a time of the run, told from the zero of the case.
func (w witness) after(id string, at time.Duration) string {
	if o := w.seen[id]; o != nil {
		zero, _ := o.zero()
		at -= zero
	}
	return seconds(at)
}

// when says what it is told from, too.
func (w witness) when(id string, at time.Duration) string {
	word := "the start of the run"
	if o := w.seen[id]; o != nil {
		_, word = o.zero()
	}
	return w.after(id, at) + " after " + word
}

// serviceView is one shard's outages of one kind of operation.
type serviceView struct {
	Shard int
	Of    string
	verdict.Outages
}

// service lists what there was of outages.
func service(v verdict.Verdict) (views []serviceView) {
	for _, s := range v.Shards {
		for _, kind := range []struct {
			of  history.OpKind
			all *verdict.Outages
		}{{history.OpWrite, s.WriteOutages}, {history.OpRead, s.ReadOutages}} {
			if kind.all != nil && kind.all.Count > 0 {
				views = append(views, serviceView{s.Number, string(kind.of) + "s", *kind.all})
			}
		}
	}
	return views
}

// FailedOver tells whether any shard is known to have failed over, in phases.
func (c caseView) FailedOver() bool {
	for _, s := range c.Verdict.Shards {
		if s.Failover != nil {
			return true
		}
	}
	return false
}

// repeatPoint is one run of a case that was done several times.
type repeatPoint struct {
	Case    string          `json:"case"`
	Of      string          `json:"of"`
	Outcome verdict.Outcome `json:"outcome"`
	Seconds float64         `json:"seconds"`
}

func (r *Report) repeatPoints() (points []repeatPoint) {
	for _, c := range r.Cases {
		if longest, _, some := worstOutage(c); some && c.Of != "" && c.Verdict.Outcome != verdict.Indeterminate {
			points = append(points, repeatPoint{c.ID, c.Of, c.Verdict.Outcome, float64(longest.Milliseconds()) / 1000})
		}
	}
	return points
}

// millis prints what is short.
func millis(d time.Duration) string {
	if d < 10*time.Millisecond {
		return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000)
	}
	return fmt.Sprintf("%d ms", d.Milliseconds())
}
