package faultcalc

// memo is an exact hash map from pairs of non-negative int32, not both 0, to
// int32. Diagrams spend most of their time in it.
type memo struct {
	key  []uint64 // open addressing; 0 is free
	val  []int32
	used int
}

func newMemo() *memo {
	const size = 1 << 10
	return &memo{key: make([]uint64, size), val: make([]int32, size)}
}

func mix(k uint64) uint64 {
	k *= 0x9e3779b97f4a7c15
	return k ^ k>>29
}

func (m *memo) slot(k uint64) int {
	mask := uint64(len(m.key) - 1)
	for i := mix(k) & mask; ; i = (i + 1) & mask {
		if m.key[i] == 0 || m.key[i] == k {
			return int(i)
		}
	}
}

func (m *memo) get(a, b int32) (int32, bool) {
	i := m.slot(uint64(a)<<32 | uint64(b))
	return m.val[i], m.key[i] != 0
}

func (m *memo) put(a, b, v int32) {
	if 2*m.used >= len(m.key) {
		m.grow()
	}
	k := uint64(a)<<32 | uint64(b)
	i := m.slot(k)
	if m.key[i] == 0 {
		m.used++
	}
	m.key[i], m.val[i] = k, v
}

func (m *memo) grow() {
	old := *m
	size := 2 * len(old.key)
	m.key, m.val = make([]uint64, size), make([]int32, size)
	for i, k := range old.key {
		if k != 0 {
			j := m.slot(k)
			m.key[j], m.val[j] = k, old.val[i]
		}
	}
}

// nodes is the store of a decision diagram: no two nodes are equal. Nodes 0
// and 1 are terminals; children are always made before their parents.
type nodes struct {
	level  []int32 // the terminals have level vars
	lo, hi []int32
	table  []int32 // open addressing; 0 is free
	vars   int32
}

func newNodes(vars int) nodes {
	v := int32(vars)
	return nodes{
		level: []int32{v, v}, lo: []int32{0, 1}, hi: []int32{0, 1},
		table: make([]int32, 1<<10), vars: v,
	}
}

func (n *nodes) hash(level, lo, hi int32) uint64 {
	return mix(mix(uint64(level)<<32|uint64(lo)) + uint64(hi))
}

// make returns the node with these children, new or old.
func (n *nodes) make(level, lo, hi int32) int32 {
	mask := uint64(len(n.table) - 1)
	i := n.hash(level, lo, hi) & mask
	for ; n.table[i] != 0; i = (i + 1) & mask {
		if k := n.table[i]; n.level[k] == level && n.lo[k] == lo && n.hi[k] == hi {
			return k
		}
	}
	k := int32(len(n.level))
	n.level, n.lo, n.hi = append(n.level, level), append(n.lo, lo), append(n.hi, hi)
	n.table[i] = k
	if 2*len(n.level) > len(n.table) {
		n.grow()
	}
	return k
}

func (n *nodes) grow() {
	n.table = make([]int32, 2*len(n.table))
	mask := uint64(len(n.table) - 1)
	for k := 2; k < len(n.level); k++ {
		i := n.hash(n.level[k], n.lo[k], n.hi[k]) & mask
		for n.table[i] != 0 {
			i = (i + 1) & mask
		}
		n.table[i] = int32(k)
	}
}

// reachable lists the inner nodes below root, children before parents.
func (n *nodes) reachable(root int32) []int32 {
	seen := make([]bool, len(n.level))
	seen[root] = true
	count := 0
	for k := root; k > 1; k-- {
		if seen[k] {
			seen[n.lo[k]], seen[n.hi[k]] = true, true
			count++
		}
	}
	list := make([]int32, 0, count)
	for k := int32(2); k <= root; k++ {
		if seen[k] {
			list = append(list, k)
		}
	}
	return list
}
