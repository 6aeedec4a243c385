package faultcalc

import (
	"fmt"
	"math"
	"math/big"
)

// SurvivableSets is the exact number of fault sets, out of the 2^n subsets of
// the affected nodes, that leave the table available; 0 if it is already
// unavailable. The error wraps [ErrTooLarge] if the decision diagram that
// counts them outgrows its budget; the problem is #P-hard in general.
func (m *Model) SurvivableSets() (*big.Int, error) {
	if m.cuts().hasEmpty() {
		return new(big.Int), nil
	}
	product, free := big.NewInt(1), m.nAffected
	for _, part := range m.parts() {
		if part.diagram == nil {
			return nil, fmt.Errorf("count survivable sets of table %q: %w", m.table, ErrTooLarge)
		}
		product.Mul(product, part.diagram.count(part.diagram.root))
		free -= len(part.diagram.nodeAt)
	}
	return product.Lsh(product, uint(free)), nil
}

// Unavailability is the probability that the table is unavailable at a random
// instant, as an interval.
type Unavailability struct {
	// Lower and Upper are equal if the figure is exact, up to the rounding of
	// floating point.
	Lower float64 `json:"lower"`
	Upper float64 `json:"upper"`
}

// Unavailability is the probability that the failed nodes make the table
// unavailable, when every node fails independently with the probability of its
// machine. It is exact for every connected part of the cuts whose decision
// diagram fits the budget; for others, the upper bound is that of minimal cuts
// (Esary and Proschan), the lower bound the better of Bonferroni's first two
// terms and a packing of disjoint cuts.
//
// [reading] An instance fails with the probability of its machine, and a
// failure domain when all of its machines do.
func (m *Model) Unavailability() Unavailability {
	if m.cuts().hasEmpty() {
		return Unavailability{1, 1}
	}
	var lower, upper complementProduct
	for _, part := range m.parts() {
		lower.add(part.lower)
		upper.add(part.upper)
	}
	return Unavailability{lower.value(), upper.value()}
}

// Importance says how much a node matters to the availability of the table.
type Importance struct {
	// Node is the name of the node.
	Node string `json:"node"`
	// Birnbaum is the difference that the state of the node makes:
	// P(unavailable | it is down) - P(unavailable | it is up).
	Birnbaum float64 `json:"birnbaum"`
	// FussellVesely is the part that the node has in the unavailability: the
	// probability that all of some minimal cut with it is down, divided by
	// P(unavailable); 0 if that is 0.
	FussellVesely float64 `json:"fussellVesely"`
}

// Importance returns the importance of every affected node, in topology order.
// All probabilities are those of [Model.Unavailability]; the error wraps
// [ErrTooLarge] where that is not exact.
func (m *Model) Importance() ([]Importance, error) {
	var list []Importance
	if m.cuts().hasEmpty() {
		for v := range m.affected.All() {
			list = append(list, Importance{Node: m.nodes[v]})
		}
		return list, nil
	}
	birnbaum := make([]float64, len(m.nodes))
	union := make([]float64, len(m.nodes))
	parts := m.parts()
	for i, part := range parts {
		if part.diagram == nil {
			return nil, fmt.Errorf("importance of the nodes of table %q: %w", m.table, ErrTooLarge)
		}
		// The table is down if any part is: the others have to be up for the
		// state of this one to matter.
		othersUp := 1.0
		for j, other := range parts {
			if j != i {
				othersUp *= 1 - other.upper
			}
		}
		part.derive(birnbaum, othersUp)
		for _, v := range part.diagram.nodeAt {
			u, err := part.unionWith(v, m.probability)
			if err != nil {
				return nil, fmt.Errorf("importance of node %q of table %q: %w", m.nodes[v], m.table, ErrTooLarge)
			}
			union[v] = u
		}
	}
	top := m.Unavailability().Upper
	for v := range m.affected.All() {
		im := Importance{Node: m.nodes[v], Birnbaum: birnbaum[v]}
		if top > 0 {
			im.FussellVesely = union[v] / top
		}
		list = append(list, im)
	}
	return list, nil
}

// complementProduct is 1 - Π(1-q), accurate for tiny q.
type complementProduct struct{ logUp float64 }

func (c *complementProduct) add(q float64) {
	c.logUp += math.Log1p(-min(max(q, 0), 1))
}

func (c *complementProduct) value() float64 {
	// Zero is written without a sign, in JSON too.
	return math.Abs(math.Expm1(c.logUp))
}

// part is one connected component of the cuts, with its own diagram if that
// fits the budget.
type part struct {
	f            *family
	p            []float64
	diagram      *diagram
	down         []float64 // per diagram node: P(unavailable) below it
	lower, upper float64
}

// parts calculates the unavailability of every connected component, once.
func (m *Model) parts() []*part {
	m.partsOnce.Do(func() { m.partList = m.makeParts() })
	return m.partList
}

func (m *Model) makeParts() []*part {
	var parts []*part
	for _, f := range split(m.cuts()) {
		p := &part{f: f, p: m.probability}
		if d, err := newDiagram(f, bddBudget); err != nil {
			p.lower, p.upper = bounds(f, m.probability)
		} else {
			p.diagram = d
			p.down = p.evaluate(d)
			p.lower = p.down[d.root]
			p.upper = p.lower
		}
		parts = append(parts, p)
	}
	return parts
}

// split returns one family per connected component, with the same numbering.
func split(f *family) []*family {
	comps := components(f)
	if len(comps) <= 1 {
		if len(comps) == 0 {
			return nil
		}
		return []*family{f}
	}
	of := make([]int, f.n)
	fams := make([]*family, len(comps))
	for i, comp := range comps {
		fams[i] = &family{n: f.n, edges: csr{off: []int32{0}}}
		for _, v := range comp {
			of[v] = i
		}
	}
	for e := range f.edges.len() {
		row := f.edges.row(e)
		fams[of[row[0]]].edges.push(row...)
	}
	return fams
}

// evaluate returns P(unavailable) for every node of the diagram. All terms are
// positive, so that nothing cancels however small the figures are.
func (p *part) evaluate(d *diagram) []float64 {
	down := make([]float64, len(d.level))
	down[0], down[1] = 1, 0
	for _, n := range d.reachable(d.root) {
		q := p.p[d.nodeAt[d.level[n]]]
		down[n] = q*down[d.lo[n]] + (1-q)*down[d.hi[n]]
	}
	return down
}

// derive adds scale times the derivative of P(unavailable) by the probability
// of each node: the probability to reach a diagram node of that variable times
// the difference that its outcome makes there.
func (p *part) derive(into []float64, scale float64) {
	b := p.diagram
	reach := make([]float64, len(b.level))
	reach[b.root] = 1
	order := b.reachable(b.root)
	for i := len(order) - 1; i >= 0; i-- {
		n := order[i]
		v := b.nodeAt[b.level[n]]
		q := p.p[v]
		reach[b.lo[n]] += q * reach[n]
		reach[b.hi[n]] += (1 - q) * reach[n]
		into[v] += scale * reach[n] * (p.down[b.lo[n]] - p.down[b.hi[n]])
	}
}

// unionWith is the probability that all of some cut with v is down.
func (p *part) unionWith(v int32, probability []float64) (float64, error) {
	edges := csr{off: []int32{0}}
	for e := range p.f.edges.len() {
		row := p.f.edges.row(e)
		has := false
		for _, u := range row {
			has = has || u == v
		}
		if has {
			for _, u := range row {
				if u != v {
					edges.elem = append(edges.elem, u)
				}
			}
			edges.close()
		}
	}
	rest := anyFamily(p.f.n, edges)
	if rest.hasEmpty() {
		return probability[v], nil
	}
	d, err := ordered(rest, p.diagram.nodeAt, bddBudget)
	if err != nil {
		return 0, err
	}
	return probability[v] * p.evaluate(d)[d.root], nil
}

// bounds encloses P(some edge is down) without a diagram.
func bounds(f *family, probability []float64) (lower, upper float64) {
	prob := make([]float64, f.edges.len())
	used := make([]bool, f.n)
	var cutBound, packing complementProduct
	s1, squares := 0.0, 0.0
	for e := range prob {
		prob[e] = 1
		disjoint := true
		for _, v := range f.edges.row(e) {
			prob[e] *= probability[v]
			disjoint = disjoint && !used[v]
		}
		cutBound.add(prob[e])
		if disjoint {
			packing.add(prob[e])
			for _, v := range f.edges.row(e) {
				used[v] = true
			}
		}
		s1 += prob[e]
		squares += prob[e] * prob[e]
	}
	upper = min(cutBound.value(), s1)
	lower = packing.value()
	// Pairs of edges without a common node are independent; the others are
	// corrected one by one, if there are not too many.
	s2 := (s1*s1 - squares) / 2
	inv := f.inverse()
	work := 0
	for v := range f.n {
		work += len(inv.row(v)) * len(inv.row(v))
	}
	if work > 1<<26 {
		return lower, upper
	}
	last := make([]int32, f.edges.len())
	for e := range prob {
		for _, v := range f.edges.row(e) {
			for _, o := range inv.row(int(v)) {
				if int(o) >= e || last[o] == int32(e)+1 {
					continue
				}
				last[o] = int32(e) + 1
				s2 += jointly(f.edges.row(e), f.edges.row(int(o)), probability) - prob[e]*prob[o]
			}
		}
	}
	return max(lower, s1-s2), upper
}

// jointly is the probability that all nodes of two sorted edges are down.
func jointly(a, b []int32, probability []float64) float64 {
	p := 1.0
	for len(a) > 0 || len(b) > 0 {
		switch {
		case len(b) == 0 || len(a) > 0 && a[0] < b[0]:
			p *= probability[a[0]]
			a = a[1:]
		case len(a) == 0 || b[0] < a[0]:
			p *= probability[b[0]]
			b = b[1:]
		default:
			p *= probability[a[0]]
			a, b = a[1:], b[1:]
		}
	}
	return p
}
