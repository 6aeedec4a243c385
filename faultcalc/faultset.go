package faultcalc

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"
)

// FaultSet is one entry of a plan: the nodes that fail together, what has to
// happen then, and why it is worth a test.
type FaultSet struct {
	// ID names the set: stable across runs and topologies, unique within a
	// level, and safe in a shell and in a file name; see [Model.ID].
	ID string `json:"id"`
	// Class is the first reason for which the set is in the plan.
	Class Class `json:"class"`
	// Nodes fail together, in topology order; empty for the control case.
	Nodes []string `json:"nodes"`
	// Predict is the availability of the table while they are down.
	Predict Availability `json:"predict"`
	// UnavailableShards are the numbers of the shards that must stop serving,
	// in the order of the topology.
	UnavailableShards []int `json:"unavailableShards"`
	// Why says in a sentence why the set is in the plan.
	Why string `json:"why"`
	// Orbit is the number of fault sets that this one stands for when
	// symmetric ones are collapsed, itself included, in decimal; else empty.
	Orbit string `json:"orbit,omitempty"`
}

// Class says where a fault set of a plan comes from.
type Class string

// The classes, in the order of a plan.
const (
	// ClassControl is the empty fault set, whatever list it comes from.
	ClassControl Class = "control"
	// ClassCut is a minimal cut set.
	ClassCut Class = "cut"
	// ClassSurvivable is a maximal survivable set.
	ClassSurvivable Class = "survivable"
	// ClassMinimalSubset is B ∪ nodes(s) of the published method.
	ClassMinimalSubset Class = "minimal-subset"
	// ClassAffected is A of the published method.
	ClassAffected Class = "affected"
	// ClassPowerSet is a subset of C of the published method.
	ClassPowerSet Class = "power-set"
	// ClassDomain is every affected node of one failure domain.
	ClassDomain Class = "domain"
	// ClassKSubset is one of all sets up to a size.
	ClassKSubset Class = "k-subset"
	// ClassTWay is part of a t-way covering array.
	ClassTWay Class = "t-way"
)

// ID is the stable name of a fault set: the level, a colon, and the names of
// the nodes in topology order joined by plus signs, such as machine:m1+m3; the
// empty set is machine:none. Only letters, digits and . _ + : - occur, so that
// it needs no quotes in a shell. Where names have other characters or the id
// would be long, it ends in the number of nodes and a hash of their names.
func (m *Model) ID(s Set) string {
	const longest = 72
	names := m.Names(s)
	var b strings.Builder
	exact := writeSafe(&b, string(m.level))
	b.WriteByte(':')
	start := b.Len()
	if len(names) == 0 {
		b.WriteString("none")
	}
	for i, name := range names {
		if i > 0 {
			b.WriteByte('+')
		}
		// A lone node called none must not be taken for the empty set.
		if !writeSafe(&b, name) || len(names) == 1 && name == "none" {
			exact = false
		}
		if b.Len()-start > longest {
			exact = false
			break
		}
	}
	if exact || len(names) == 0 {
		return b.String()
	}
	sum := sha256.Sum256([]byte(strings.Join(names, "\x00")))
	head := b.String()
	if len(head) > start+longest/2 {
		head = head[:start+longest/2]
		if cut := strings.LastIndexByte(head[start:], '+'); cut > 0 {
			head = head[:start+cut]
		}
	}
	return head + ":" + strconv.Itoa(len(names)) + "-" + hex.EncodeToString(sum[:6])
}

// writeSafe appends the name and says whether it could stay as it is.
func writeSafe(b *strings.Builder, name string) bool {
	exact := name != ""
	for _, c := range []byte(name) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '.', c == '_', c == '-':
		default:
			c, exact = '.', false
		}
		b.WriteByte(c)
	}
	return exact
}

// faultSet describes a set for the plan.
func (m *Model) faultSet(s Set, class Class, why string) FaultSet {
	if s.IsEmpty() {
		class, why = ClassControl, "control: no fault at all"
	}
	return FaultSet{
		ID: m.ID(s), Class: class, Nodes: m.Names(s),
		Predict: m.Availability(s), UnavailableShards: m.UnavailableShards(s), Why: why,
	}
}
