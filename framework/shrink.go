package framework

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/cutset-dev/cutset/framework/history"
	"github.com/cutset-dev/cutset/framework/plan"
	"github.com/cutset-dev/cutset/framework/verdict"
)

// shrinkable tells whether to look for a smaller fault set that fails like the case's.
func (r *run) shrinkable(c plan.Case, v verdict.Verdict) bool {
	return r.config.shrink && v.Outcome == verdict.Fail && len(c.Nodes) > 1
}

// shrink fails parts of a failed case's fault set, each as a case with a prediction of its own, until it has the smallest that still fails,
// or the budget is used up. What it found is in the history, too.
func (r *run) shrink(ctx context.Context, of plan.Case) (*history.Shrunk, error) {
	s := &shrinking{run: r, of: of, found: history.Shrunk{Nodes: of.Nodes, Case: of.ID, Tried: []history.Tried{}}, left: r.config.budgetShrink}
	nodes, err := minimize(of.Nodes, func(part []string) (bool, error) { return s.fails(ctx, part) })
	s.found.Ended = "there is no smaller one"
	if len(nodes) > 1 {
		s.found.Ended = "with any node less it does not fail"
	}
	switch {
	case errors.Is(err, errEnough):
		s.found.Ended = err.Error()
	case err != nil:
		return nil, err
	}
	if at := slices.IndexFunc(s.found.Tried, func(t history.Tried) bool { return slices.Equal(t.Nodes, nodes) }); at >= 0 {
		s.found.Nodes, s.found.Case = nodes, s.found.Tried[at].Case
	}
	r.record.Add(history.Record{Case: of.ID, Shrunk: &s.found})
	r.say("      the smallest set found that fails is {%s}, after %d cases: %s", strings.Join(nodes, ", "), len(s.found.Tried), s.found.Ended)
	return &s.found, nil
}

// errEnough is wrapped by the reason why nothing smaller is tried.
var errEnough = errors.New("not tried any further")

// shrinking is on its way to a smaller fault set.
type shrinking struct {
	*run
	of    plan.Case
	found history.Shrunk
	left  int // cases that may still be done
}

// fails tells whether a part of the fault set fails: by a case that the run has done, else by doing it.
func (s *shrinking) fails(ctx context.Context, nodes []string) (bool, error) {
	c, err := plan.Asked(s.topology, s.suite.Name, s.of.Level, s.of.Kind, nodes)
	if err != nil {
		return false, err
	}
	v, done := s.verdictOf(c)
	if !done {
		if err := s.enough(ctx); err != nil {
			return false, err
		}
		s.left--
		c.Of, c.ID = c.ID, c.ID+plan.Again+"part"
		if v, err = s.runCase(ctx, "smaller", c); err != nil {
			return false, err
		}
	}
	s.found.Tried = append(s.found.Tried, history.Tried{Case: v.Case, Nodes: c.Nodes, Outcome: string(v.Outcome), Seen: v.Summary()})
	return v.Outcome == verdict.Fail, nil
}

// verdictOf returns what the run has found out about the case already: a failure, if any of its runs was one.
func (s *shrinking) verdictOf(c plan.Case) (found verdict.Verdict, done bool) {
	ids := []string{c.ID, c.ID + plan.Again + "part"}
	for repeat := range s.config.repeat {
		ids = append(ids, fmt.Sprint(c.ID, plan.Again, repeat+1))
	}
	for _, id := range ids {
		if v, err := s.court.Verdict(id); err == nil && (!done || v.Outcome == verdict.Fail) {
			found, done = v, true
		}
	}
	return found, done
}

// enough says why no other case can be done, or nil.
func (s *shrinking) enough(ctx context.Context) error {
	switch reason := s.noTimeFor(); {
	case ctx.Err() != nil:
		return fmt.Errorf("%w: %w", errEnough, context.Cause(ctx))
	case s.broken:
		return fmt.Errorf("%w: the database did not become whole again", errEnough)
	case s.left == 0:
		return fmt.Errorf("%w: the budget of %d cases is used up; raise -budget-shrink", errEnough, s.config.budgetShrink)
	case reason != "":
		return fmt.Errorf("%w: %s", errEnough, reason)
	}
	return nil
}

// minimize returns a part of the nodes that still fails, where none with one node less does: by delta debugging (Zeller and Hildebrandt,
// "Simplifying and Isolating Failure-Inducing Input", IEEE TSE 28(2), 2002). All of the nodes are known to fail, and none of them not to.
// An error of fails ends the search, and comes with the smallest part until then.
func minimize(nodes []string, fails func(part []string) (bool, error)) ([]string, error) {
	for chunks := 2; len(nodes) > 1; {
		smaller, err := reduce(nodes, chunks, fails)
		switch {
		case err != nil:
			return nodes, err
		case smaller == nil && chunks >= len(nodes):
			return nodes, nil
		case smaller == nil:
			chunks = min(2*chunks, len(nodes))
		case len(smaller) <= (len(nodes)+chunks-1)/chunks:
			nodes, chunks = smaller, 2
		default:
			nodes, chunks = smaller, max(chunks-1, 2)
		}
	}
	return nodes, nil
}

// reduce returns the first of the chunks, and then of what is left without each of them, that fails; nil if none does.
func reduce(nodes []string, chunks int, fails func([]string) (bool, error)) ([]string, error) {
	var parts [][]string
	size := (len(nodes) + chunks - 1) / chunks
	for chunk := range slices.Chunk(nodes, size) {
		parts = append(parts, chunk)
	}
	if len(parts) > 2 { // of two, each is what the other leaves
		for i := range parts {
			parts = append(parts, slices.Concat(nodes[:i*size], nodes[min((i+1)*size, len(nodes)):]))
		}
	}
	for _, part := range parts {
		if failed, err := fails(part); err != nil || failed {
			return part, err
		}
	}
	return nil, nil
}
