package faultcalc

import (
	"iter"
	"math/big"
)

// Coverage is how much of what can fail a list of fault sets decides.
type Coverage struct {
	// Cases is the number of distinct fault sets in the list, as sets of
	// affected nodes.
	Cases int
	// DecidedShare is Decided / PowerSet, 0 to 1.
	DecidedShare float64
	// Decided is the number of fault sets whose outcome follows by
	// monotonicity: supersets of an unavailable case, subsets of an available
	// one. Nil if it could not be counted within the budget of the diagram;
	// DecidedShare is 0 then.
	Decided *big.Int
	// PowerSet is 2^n, n the number of affected nodes.
	PowerSet *big.Int
	// CutsCovered of Cuts minimal cut sets are in the list.
	CutsCovered, Cuts int
	// FacetsCovered of Facets maximal survivable sets are in the list. Facets
	// is nil if there are too many to be counted.
	FacetsCovered int
	Facets        *big.Int
	// Ways has one entry per strength t = 1, 2, 3, as far as the affected nodes
	// are few enough to look at all groups of t.
	Ways []WayCoverage
}

// WayCoverage is the coverage of groups of T affected nodes.
type WayCoverage struct {
	T int
	// Subsets of AllSubsets groups are down together in some case (k-subset
	// coverage, a covering design).
	Subsets, AllSubsets int64
	// Patterns of AllPatterns are seen: every group in every combination of up
	// and down (t-way coverage, NISTIR 7878).
	Patterns, AllPatterns int64
}

// decidedBudget is the size of the diagrams that count what cases decide. They
// are made of arbitrary sets, so that a large one seldom gets done.
const decidedBudget = 1 << 17

// mostFacets is how many words of facets are counted one by one, if it comes to
// that: a step takes longer the more nodes there are.
const mostFacets = 1 << 20

// Coverage tells what a list of fault sets decides, given the predictions of
// this model. The sets may be borrowed ones.
func (m *Model) Coverage(failed iter.Seq[Set]) Coverage {
	c := Coverage{PowerSet: new(big.Int).Lsh(big.NewInt(1), uint(m.nAffected))}
	seen := map[string]bool{}
	var ways wayCounter
	// A fault set is decided by an unavailable case that it contains, or by an
	// available case that contains it: it then misses all that the case spares.
	down := csr{off: []int32{0}}
	spared := csr{off: []int32{0}}
	for s := range failed {
		s = m.affected.Minus(m.affected.Minus(s))
		if key := s.key(); seen[key] {
			continue
		} else {
			seen[key] = true
		}
		ways.add(s)
		boundary := m.onBoundary(s)
		if m.Availability(s) == Unavailable {
			down.elem = s.appendIndices(down.elem)
			down.close()
			if boundary {
				c.CutsCovered++
			}
			continue
		}
		spared.elem = m.affected.Minus(s).appendIndices(spared.elem)
		spared.close()
		if boundary {
			c.FacetsCovered++
		}
	}
	c.Cases = len(seen)
	c.Cuts = m.cuts().edges.len()
	if n, err := m.CountMinimalKeeperSets(int64(mostFacets / max(1, len(m.affected.w)))); err == nil {
		c.Facets = n
	}
	c.Ways = ways.count(m.affected.appendIndices(nil))
	if c.CutsCovered == c.Cuts && c.Facets != nil && c.Facets.IsInt64() && c.Facets.Int64() == int64(c.FacetsCovered) {
		c.Decided = new(big.Int).Set(c.PowerSet) // the whole boundary decides everything
	} else {
		c.Decided = m.countDecided(down, spared)
	}
	if c.Decided != nil {
		c.DecidedShare, _ = new(big.Rat).SetFrac(c.Decided, c.PowerSet).Float64()
	}
	return c
}

// countDecided counts the supersets of the down sets and, by complement, the
// sets that contain a spared set; no set is both.
func (m *Model) countDecided(down, spared csr) *big.Int {
	decided := new(big.Int)
	for _, edges := range []csr{down, spared} {
		f := anyFamily(len(m.nodes), edges)
		// X contains no edge exactly when its complement hits all of them.
		none, err := countHitting(f, m.nAffected, decidedBudget)
		if err != nil {
			return nil
		}
		all := new(big.Int).Lsh(big.NewInt(1), uint(m.nAffected))
		decided.Add(decided, all.Sub(all, none))
	}
	return decided
}

// wayCounter keeps the cases by node: bit i of a column is case i.
type wayCounter struct {
	sets []Set
}

func (w *wayCounter) add(s Set) { w.sets = append(w.sets, s.Clone()) }

// count looks at all groups of 1, 2 and 3 nodes, if that is little enough work.
func (w *wayCounter) count(nodes []int32) []WayCoverage {
	const most = 1 << 28 // word operations, well below a second
	words := (len(w.sets) + 63) / 64
	columns := make([][]uint64, len(nodes))
	for i, v := range nodes {
		columns[i] = make([]uint64, words)
		for c, s := range w.sets {
			if s.Contains(int(v)) {
				columns[i][c>>6] |= 1 << (c & 63)
			}
		}
	}
	all := make([]uint64, words)
	for c := range w.sets {
		all[c>>6] |= 1 << (c & 63)
	}
	var list []WayCoverage
	for t := 1; t <= min(3, len(nodes)); t++ {
		groups := binomial(len(nodes), t)
		if groups*float64(words+1)*float64(int(1)<<t) > most {
			break
		}
		way := WayCoverage{T: t, AllSubsets: int64(groups), AllPatterns: int64(groups) << t}
		way.walk(columns, all, t, true)
		list = append(list, way)
	}
	return list
}

// walk splits the cases by the state of one more node of the group. left nodes
// are still to be chosen; allDown says that those chosen are all down.
func (w *WayCoverage) walk(columns [][]uint64, cases []uint64, left int, allDown bool) {
	if left == 0 {
		for _, word := range cases {
			if word != 0 {
				w.Patterns++
				if allDown {
					w.Subsets++
				}
				return
			}
		}
		return
	}
	part := make([]uint64, len(cases))
	for i := 0; i+left <= len(columns); i++ {
		for k, word := range cases {
			part[k] = word & columns[i][k]
		}
		w.walk(columns[i+1:], part, left-1, allDown)
		for k, word := range cases {
			part[k] = word &^ columns[i][k]
		}
		w.walk(columns[i+1:], part, left-1, false)
	}
}
