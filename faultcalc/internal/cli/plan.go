package cli

import (
	"errors"
	"fmt"
	"iter"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/cutset-dev/cutset/faultcalc"
)

// head is what every answer begins with.
func (a *app) head() object {
	return object{{"table", a.model.Table()}, {"level", string(a.model.Level())}}
}

// tail is what every answer ends with, if there is something to say.
func (a *app) tail() object {
	return object{
		{"truncated", func() any {
			if a.truncated {
				return true
			}
			return absent{}
		}},
		{"warnings", func() any {
			if len(a.warnings) > 0 {
				return a.warnings
			}
			return absent{}
		}},
	}
}

func (a *app) plan() (*document, error) {
	st := a.model.Status(faultcalc.Set{})
	planned := &planned{app: a}
	fields := append(a.head(), object{
		{"availability", st.Availability},
		{"shards", a.shardList(st)},
		{"published", func() any { return a.published() }},
		{"exact", func() any { return a.exact() }},
		{"cases", planned.stream()},
		{"coverage", func() any { return planned.coverage() }},
	}...)
	notes := []string{
		fmt.Sprintf("table %s at level %s: %s", a.model.Table(), a.model.Level(), st.Availability),
		"affected A  " + braces(a.names(a.model.Affected())),
	}
	if p, err := a.model.Published(); err == nil {
		notes = append(notes, "keepers B   "+braces(a.names(p.Keepers)), "removable C "+braces(a.names(p.Removable)))
	}
	return &document{
		fields: append(fields, a.tail()...),
		notes:  notes,
		header: []string{"id", "class", "nodes", "predict", "unavailable shards", "why"},
		rows:   planned.rows(),
	}, nil
}

// shardList lists the shards up to the limit.
func (a *app) shardList(st faultcalc.Status) stream {
	return limitedList(a, "shards", st.Shards)
}

// limitedList streams a list of anything up to the limit.
func limitedList[T any](a *app, what string, list []T) stream {
	return func(yield func(any) bool) {
		for i, one := range list {
			if a.limit > 0 && i == a.limit {
				a.cut("%s: %d of %d are listed; raise --limit", what, a.limit, len(list))
				return
			}
			if !yield(one) {
				return
			}
		}
	}
}

func (a *app) published() any {
	p, err := a.model.Published()
	if errors.Is(err, faultcalc.ErrNotAny) {
		a.warn("published is null: %v", err)
		return nil
	}
	// There are no more of them than shards.
	subsets := sync.OnceValue(func() []faultcalc.Set {
		var list []faultcalc.Set
		for s := range p.MinimalSubsets() {
			list = append(list, s.Clone())
		}
		slices.SortFunc(list, faultcalc.Set.Compare)
		return list
	})
	o := object{{"affected", a.names(p.Affected)}}
	if err != nil {
		a.warn("no keepers: %v", err)
		o = append(o, field{"keepers", nil}, field{"removable", nil})
	} else {
		o = append(o, field{"keepers", a.names(p.Keepers)}, field{"removable", a.names(p.Removable)})
	}
	return append(o, object{
		{"powerSetSize", p.PowerSetSize().String()},
		{"minimalSubsets", func() any { return a.listOf(a.limited("minimal subsets", slices.Values(subsets()))) }},
		{"faultFactors", func() any {
			var first []faultcalc.Set
			if err == nil {
				first = append(slices.Clone(subsets()), p.Affected)
				slices.SortFunc(first, faultcalc.Set.Compare)
			}
			return a.listOf(a.limited("fault factors", merge(first, p.PowerSet())))
		}},
	}...)
}

func (a *app) exact() object {
	return object{
		{"minimalCutSets", a.listOf(a.limited("minimal cut sets", a.model.MinimalCutSets()))},
		{"minimalKeeperSets", a.listOf(a.keeperSets())},
		{"maximalSurvivableSets", a.listOf(a.survivableSets())},
		{"minimumKeeperSet", func() any { return a.minimum() }},
		{"survivableSets", func() any {
			n, err := a.model.SurvivableSets()
			if err != nil {
				a.warn("survivableSets is null: %v", err)
				return nil
			}
			return n.String()
		}},
		{"singlePointsOfFailure", a.names(a.model.SinglePointsOfFailure())},
		{"unavailability", func() any { return a.model.Unavailability() }},
		{"importance", func() any { return a.importance() }},
	}
}

// importance is of interest only when some machine can fail.
func (a *app) importance() any {
	if !slices.ContainsFunc(a.topology.Machines, func(m faultcalc.Machine) bool { return m.FailureProbability > 0 }) {
		return absent{}
	}
	list, err := a.model.Importance()
	if err != nil {
		a.warn("importance is left out: %v", err)
		return absent{}
	}
	return limitedList(a, "importance", list)
}

// minimumJSON is a faultcalc.Minimum with names.
type minimumJSON struct {
	Set     []string `json:"set"`
	Lower   int      `json:"lower"`
	Upper   int      `json:"upper"`
	Optimal bool     `json:"optimal"`
	Why     string   `json:"why"`
}

func (a *app) minimum() any {
	m, err := a.model.MinimumKeeperSet(a.budget)
	if err != nil {
		a.warn("minimumKeeperSet is null: %v", err)
		return nil
	}
	if !m.Optimal {
		a.warn("minimum keeper set: between %d and %d nodes, not settled within --budget %d", m.Lower, m.Upper, a.budget)
	}
	return minimumJSON{a.names(m.Set), m.Lower, m.Upper, m.Optimal, m.Why}
}

// planned is the list of cases, and remembers what it listed.
type planned struct {
	app  *app
	sets []faultcalc.Set
}

// cases yields the plan up to the limit and the budget.
func (p *planned) cases() iter.Seq[faultcalc.FaultSet] {
	a := p.app
	return func(yield func(faultcalc.FaultSet) bool) {
		a.checkSpec()
		spec, n := a.spec, 0
		if spec.MaxCases > 0 {
			spec.MaxCases++ // one more, to know whether something is left out
		}
		for f := range a.model.Plan(spec) {
			if n++; a.spec.MaxCases > 0 && n > a.spec.MaxCases {
				a.cut("cases: the plan goes on after --budget-cases %d; resume it with --after", a.spec.MaxCases)
				return
			}
			if a.limit > 0 && n > a.limit {
				a.cut("cases: only the first %d are listed; raise --limit", a.limit)
				return
			}
			if s, err := a.model.SetOf(f.Nodes...); err == nil {
				p.sets = append(p.sets, s)
			}
			if !yield(f) {
				return
			}
		}
		if a.spec.After != "" && n == 0 {
			a.warn("no case comes after %q; is it in this plan?", a.spec.After)
		}
	}
}

// checkSpec says what the plan can't have.
func (a *app) checkSpec() {
	if a.spec.Published {
		if _, err := a.model.Published(); err != nil {
			a.warn("no published cases: %v", err)
		}
	}
}

func (p *planned) stream() stream {
	return func(yield func(any) bool) {
		for f := range p.cases() {
			if !yield(f) {
				return
			}
		}
	}
}

func (p *planned) rows() iter.Seq[[]string] {
	return func(yield func([]string) bool) {
		for f := range p.cases() {
			if !yield([]string{f.ID, string(f.Class), braces(f.Nodes), string(f.Predict), numbers(f.UnavailableShards), f.Why}) {
				return
			}
		}
	}
}

func numbers(list []int) string {
	words := make([]string, len(list))
	for i, n := range list {
		words[i] = strconv.Itoa(n)
	}
	return strings.Join(words, " ")
}

// coverage of the cases that were listed.
func (p *planned) coverage() any {
	c := p.app.model.Coverage(slices.Values(p.sets))
	return object{
		{"decidedShare", p.app.share(c)},
		{"cases", len(p.sets)},
		{"decided", decimal(c.Decided)},
		{"powerSet", c.PowerSet.String()},
	}
}

// share is null if it is not known.
func (a *app) share(c faultcalc.Coverage) any {
	if c.Decided == nil {
		a.warn("decidedShare is null: %v", faultcalc.ErrTooLarge)
		return nil
	}
	return c.DecidedShare
}

func decimal(n *big.Int) any {
	if n == nil {
		return nil
	}
	return n.String()
}
