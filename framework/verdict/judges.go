package verdict

import (
	"fmt"
	"slices"
	"time"

	"github.com/cutset-dev/cutset/framework/history"
)

// The judges' names.
const (
	course       = "course"
	load         = "traffic"
	proof        = "proof"
	availability = "availability"
	recovery     = "recovery"
	durability   = "durability"
)

// steps: every step of the case was reached.
func steps(e *Evidence) (found []Finding) {
	for _, p := range e.problems {
		f := Finding{Judge: course, Outcome: Indeterminate, Blame: Blame(p.Blame), Message: fmt.Sprintf("%s: %s", p.Name, p.Problem)}
		if f.Blame == Product {
			f.Outcome = Fail
			f = e.excuse(f, interval{e.phases[history.Healed], p.at}, p.MissedBy)
		}
		found = append(found, f)
	}
	if _, ended := e.phases[history.Ended]; !ended && len(found) == 0 {
		found = append(found, Finding{Judge: course, Outcome: Indeterminate, Blame: Harness, Message: "the case was cut short"})
	}
	return found
}

// traffic: before the fault, every shard served enough for silence to mean something, and clients went on trying while it lasted, and
// after it.
func traffic(e *Evidence) (found []Finding) {
	injected, ok := e.phases[history.Inject]
	if !ok {
		return nil
	}
	windows := []struct {
		interval
		when string
	}{
		{e.between(history.Bit, history.Heal), "while the fault was active"},
		{e.between(history.Healed, history.Ended), "after the heal"},
	}
	for _, shard := range e.Planned.Shards {
		for _, kind := range kinds {
			before := 0
			for _, op := range e.servedBy(shard, kind) {
				if op.to <= injected {
					before++
				}
			}
			if before < e.Planned.Budget.Traffic {
				found = append(found, Finding{
					Judge: load, Outcome: Indeterminate, Blame: Infrastructure, Shard: shard,
					Message: fmt.Sprintf("shard %d served %d %ss before the fault, fewer than the %d that a verdict needs", shard, before, kind, e.Planned.Budget.Traffic),
				})
			}
		}
		for _, w := range windows {
			tried := func(op interval) bool { return w.common(op).length() > 0 }
			if w.length() > 0 && !slices.ContainsFunc(e.tried[shard], tried) {
				found = append(found, Finding{
					Judge: load, Outcome: Indeterminate, Blame: Harness, Shard: shard,
					Message: fmt.Sprintf("no client tried shard %d %s", shard, w.when),
				})
			}
		}
	}
	return found
}

// bite: the fault was not active before it was injected, was then, lasted until the heal, and is over.
func bite(e *Evidence) (found []Finding) {
	looks := map[string]bool{}
	for _, f := range e.faults {
		looks[f.Node+f.When] = true
		want := f.When == "bit" || f.When == "lasted"
		if f.Active == want {
			continue
		}
		message := map[string]string{
			"before": "was in force before it was injected",
			"bit":    "did not bite",
			"lasted": "did not last until the heal",
			"healed": "is still in force after the heal",
		}[f.When]
		found = append(found, Finding{
			Judge: proof, Outcome: Indeterminate, Blame: Harness,
			Message: fmt.Sprintf("%s on %s %s (%s)", e.Planned.Kind, f.Node, message, f.Seen),
		})
	}
	if _, healed := e.phases[history.Healed]; healed {
		for _, node := range e.Planned.Nodes {
			if !looks[node+"bit"] {
				found = append(found, Finding{Judge: proof, Outcome: Indeterminate, Blame: Harness, Message: "nobody looked whether the fault bit on " + node})
			}
		}
	}
	return found
}

// available: while the fault is active, no outage of a shard that must serve is longer than the budget.
func available(e *Evidence) (found []Finding) {
	for _, shard := range e.Planned.Shards {
		if slices.Contains(e.Planned.Unavailable, shard) {
			continue
		}
		for _, kind := range kinds {
			gap := e.longestGap(shard, kind, e.between(history.Inject, history.Heal))
			if e.normalize(gap) <= e.Planned.Budget.Outage {
				continue
			}
			message := fmt.Sprintf("shard %d must stay available, and served no %s for %s (%s load-normalized, budget %s)",
				shard, kind, seconds(gap.length()), seconds(e.normalize(gap)), seconds(e.Planned.Budget.Outage))
			if gap.to == e.phases[history.Heal] {
				message = fmt.Sprintf("shard %d must stay available, and never served a %s again until the heal: %s without (%s load-normalized, budget %s)",
					shard, kind, seconds(gap.length()), seconds(e.normalize(gap)), seconds(e.Planned.Budget.Outage))
			}
			f := Finding{Judge: availability, Outcome: Fail, Blame: Product, Shard: shard, Message: message}
			found = append(found, e.excuse(f, gap, e.normalize(gap)-e.Planned.Budget.Outage))
		}
	}
	return found
}

// quietAtLeast is how long a shard has to serve nothing to count as unavailable, in raw time.
const quietAtLeast = 2 * time.Second

// unavailable: a shard that must not serve falls silent as soon as the fault is active, or within its time to settle,
// and stays silent until the heal.
func unavailable(e *Evidence) (found []Finding) {
	window := e.between(history.Bit, history.Heal)
	if window.length() == 0 {
		return nil
	}
	for _, shard := range e.Planned.Unavailable {
		for _, kind := range kinds {
			served, last := 0, window.from
			for _, op := range e.servedBy(shard, kind) {
				if op.from > window.from && op.to < window.to {
					served, last = served+1, op.to
				}
			}
			settling := interval{window.from, last}
			f := Finding{Judge: availability, Outcome: Fail, Blame: Product, Shard: shard}
			switch {
			case e.normalize(settling) > e.Planned.Budget.Settle:
				f.Message = fmt.Sprintf("shard %d must be unavailable, and served %d %ss, the last %s after the fault bit (%s allowed)",
					shard, served, kind, seconds(settling.length()), seconds(e.Planned.Budget.Settle))
				f = e.excuse(f, settling, e.normalize(settling)-e.Planned.Budget.Settle)
			case window.to-last < quietAtLeast:
				f.Outcome, f.Blame = Indeterminate, Harness
				f.Message = fmt.Sprintf("the fault was held too short to tell that shard %d serves no %ss", shard, kind)
			default:
				continue
			}
			found = append(found, f)
		}
	}
	return found
}

// recovered: after the heal every shard serves again within the budget, and no outage follows that is longer.
func recovered(e *Evidence) (found []Finding) {
	window := e.between(history.Healed, history.Ended)
	for _, shard := range e.Planned.Shards {
		for _, kind := range kinds {
			gap := e.longestGap(shard, kind, window)
			if e.normalize(gap) <= e.Planned.Budget.Outage {
				continue
			}
			what := fmt.Sprintf("served no %s", kind)
			if gap == window {
				what = fmt.Sprintf("never served a %s", kind)
			}
			f := Finding{
				Judge: recovery, Outcome: Fail, Blame: Product, Shard: shard,
				Message: fmt.Sprintf("shard %d %s for %s after the heal (%s load-normalized, budget %s)",
					shard, what, seconds(gap.length()), seconds(e.normalize(gap)), seconds(e.Planned.Budget.Outage)),
			}
			found = append(found, e.excuse(f, gap, e.normalize(gap)-e.Planned.Budget.Outage))
		}
	}
	return found
}
