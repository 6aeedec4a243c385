package verdict

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/cutset-dev/cutset/framework/history"
)

const distribution = "distribution"

// worst is the longest outage of a case's shards that must serve.
type worst struct{ raw, normalized time.Duration }

// distributed: over all repeats of a case, no quantile of its outages is beyond its budget. The last repeat answers for all of them.
func distributed(e *Evidence) (found []Finding) {
	if !e.lastRepeat() {
		return nil
	}
	outages := e.outagesOfRepeats()
	if len(outages) == 0 {
		return nil
	}
	for _, key := range slices.Sorted(maps.Keys(e.Planned.Budget.Quantiles)) {
		limit := e.Planned.Budget.Quantiles[key]
		share, _ := history.Quantile(key)
		at := percentile(outages, share)
		if at.normalized <= limit {
			continue
		}
		found = append(found, Finding{
			Judge: distribution, Outcome: Fail, Blame: Product, Count: len(outages),
			Message: fmt.Sprintf("%s of the outages in %d repeats is %s (%s load-normalized, budget %s)",
				key, len(outages), seconds(at.raw), seconds(at.normalized), seconds(limit)),
		})
	}
	return found
}

func (e *Evidence) lastRepeat() bool {
	return e.Planned.Repeat > 0 && e.Planned.Repeat >= e.Planned.Repeats
}

// outagesOfRepeats returns the outage of every repeat that says something about the product, the shortest first.
func (e *Evidence) outagesOfRepeats() (outages []worst) {
	for _, repeat := range e.repeats {
		if _, healed := repeat.phases[history.Healed]; !healed || len(bite(repeat)) > 0 || len(traffic(repeat)) > 0 {
			continue
		}
		var longest worst
		for _, number := range e.Planned.Shards {
			if s := repeat.shard(number); s.Predicted == "available" && s.OutageNormalized >= longest.normalized {
				longest = worst{s.Outage, s.OutageNormalized}
			}
		}
		outages = append(outages, longest)
	}
	slices.SortFunc(outages, func(a, b worst) int { return cmp.Compare(a.normalized, b.normalized) })
	return outages
}
