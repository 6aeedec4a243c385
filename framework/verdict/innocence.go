package verdict

import (
	"fmt"
	"time"

	"github.com/cutset-dev/cutset/framework/history"
)

type lapse struct {
	history.Lapse
	interval
}

// MayCost is how much time a harness that stood still for so long may have cost who was waiting for it. A stall costs more than its length:
// what was under way is cut off, and has to be tried again.
func MayCost(stood time.Duration) time.Duration { return 2 * stood }

// excuse holds a failure that is one of time against the harness instead of the product, where the harness may have caused it: its clock
// jumped meanwhile, or what it stood still meanwhile may have cost what the limit was missed by.
//
// What was acknowledged and is lost, and who acknowledged what at one time, does not depend on how fast the harness was.
func (e *Evidence) excuse(f Finding, during interval, missedBy time.Duration) Finding {
	var stood, jumped time.Duration
	for _, l := range e.lapses {
		both := l.common(during)
		switch {
		case both.length() < 0:
		case l.Kind == history.Stall:
			stood += both.length()
		case l.Kind == history.Jump:
			jumped += l.By.Abs()
		}
	}
	switch {
	case jumped > 0:
		f.Message += fmt.Sprintf("; but the harness's clock jumped by %s meanwhile", seconds(jumped))
	case stood > 0 && missedBy <= MayCost(stood):
		f.Message += fmt.Sprintf("; but the harness itself stood still for %s of that", seconds(stood))
	default:
		return f
	}
	f.Outcome, f.Blame, f.Excused = Indeterminate, Harness, true
	return f
}

// ownFaults notes what the harness did not do well in the case, whether that mattered or not.
func (e *Evidence) ownFaults() (notes []string) {
	count, took := map[history.LapseKind]int{}, map[history.LapseKind]time.Duration{}
	for _, l := range e.lapses {
		if l.to > e.began && l.from < e.stopped() {
			count[l.Kind]++
			took[l.Kind] += max(l.Took, l.By.Abs())
		}
	}
	for _, n := range []struct {
		kind history.LapseKind
		text string
	}{
		{history.Stall, "the harness stood still %d times for more than 100 ms, %s in all"},
		{history.Jump, "the harness's clock jumped %d times, by %s in all"},
		{history.Dropped, "%d looks of the observer came late, by %s in all, or never"},
	} {
		if count[n.kind] > 0 {
			notes = append(notes, fmt.Sprintf(n.text, count[n.kind], seconds(took[n.kind])))
		}
	}
	return notes
}
