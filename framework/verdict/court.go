package verdict

import (
	"errors"
	"fmt"

	"github.com/cutset-dev/cutset/framework/history"
)

// Sentinels of this package.
var (
	// ErrNoCases means that there is nothing to judge.
	ErrNoCases = errors.New("the history has no cases")
	// ErrUnknownCase means that the history has not come to that case.
	ErrUnknownCase = errors.New("the history does not have the case")
)

// Court judges the cases of a history that goes on: each record is heard once, however many cases there are. The verdict of a case
// is the same whether it is given when the case has ended or when the whole history is known.
type Court struct {
	order  []*Evidence
	byCase map[string]*Evidence
	writes ledger
	load   []loadSample
	lapses []lapse
}

// NewCourt returns a court that has heard nothing.
func NewCourt() *Court {
	return &Court{byCase: map[string]*Evidence{}, writes: ledger{writes: map[int]map[int64]write{}, twice: map[int64]bool{}}}
}

// Hear takes in the next record. A case that begins twice is an error.
func (c *Court) Hear(r history.Record) error {
	if r.Load != nil {
		c.load = append(c.load, loadSample{r.At, r.Load.Factor})
	}
	if r.Lapse != nil {
		c.lapses = append(c.lapses, lapse{*r.Lapse, interval{r.At, r.At + r.Lapse.Took}})
	}
	if r.Planned != nil {
		if c.byCase[r.Case] != nil {
			return fmt.Errorf("the history has case %s twice", r.Case)
		}
		c.byCase[r.Case] = newEvidence(r)
		c.order = append(c.order, c.byCase[r.Case])
	}
	e := c.byCase[r.Case]
	if e == nil {
		return nil
	}
	e.add(r)
	switch {
	case r.Op != nil:
		c.writes.add(r, e)
	case r.Audit != nil:
		e.misdeeds[r.Audit.Shard] = c.writes.audit(*r.Audit, e.misdeeds[r.Audit.Shard])
	}
	return nil
}

// Verdict judges a case from what was heard so far.
func (c *Court) Verdict(caseID string) (Verdict, error) {
	e := c.byCase[caseID]
	if e == nil {
		return Verdict{}, fmt.Errorf("%w %s", ErrUnknownCase, caseID)
	}
	return c.judge(e), nil
}

func (c *Court) judge(e *Evidence) Verdict {
	c.prepare(e)
	e.repeats = nil
	for _, other := range c.order {
		if e.lastRepeat() && other.Planned.Of == e.Planned.Of && other.Planned.Repeat > 0 {
			c.prepare(other)
			e.repeats = append(e.repeats, other)
		}
	}
	return e.judge()
}

func (c *Court) prepare(e *Evidence) {
	e.load, e.lapses = c.load, c.lapses
	e.sort()
}

// Draw makes the pictures that the case's findings name, in the run's directory.
func (c *Court) Draw(caseID, dir string) error {
	if e := c.byCase[caseID]; e != nil {
		return e.draw(dir)
	}
	return fmt.Errorf("%w %s", ErrUnknownCase, caseID)
}
