package topofile

import (
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/cutset-dev/cutset/faultcalc"
)

const (
	// maxDepth is deeper than any topology and ends cyclic aliases.
	maxDepth = 32
	// maxNodes bounds what aliases expand to; no document without them that is
	// small enough to be read has as many.
	maxNodes = 40_000_000
	// maxErrors are reported; a document with more is wrong as a whole.
	maxErrors = 100
)

// decoder turns a tree into a topology and collects what does not fit. It is
// written by hand, since decoding through the yaml package loses the lines.
type decoder struct {
	file  string
	errs  []error
	depth int
	nodes int
}

func (d *decoder) fail(n *yaml.Node, format string, args ...any) {
	if len(d.errs) < maxErrors {
		d.errs = append(d.errs, &Error{File: d.file, Line: n.Line, Message: fmt.Sprintf(format, args...), cause: ErrDocument})
	}
}

// enter counts a node against the bounds, and resolves an alias.
func (d *decoder) enter(n *yaml.Node) (*yaml.Node, bool) {
	d.nodes++
	if d.depth > maxDepth || d.nodes > maxNodes {
		if d.nodes <= maxNodes || d.nodes == maxNodes+1 {
			d.fail(n, "aliases nest too deeply or expand to too much; write the values out")
		}
		return n, false
	}
	return resolve(n), len(d.errs) < maxErrors
}

// field decodes the value of one key.
type field struct {
	name   string
	decode func(*yaml.Node)
}

// object decodes a mapping with the given fields; what says which in messages.
func (d *decoder) object(n *yaml.Node, what string, fields ...field) {
	d.merged(n, what, fields, map[string]bool{})
}

func (d *decoder) merged(n *yaml.Node, what string, fields []field, seen map[string]bool) {
	n, ok := d.enter(n)
	if !ok {
		return
	}
	if n.Kind != yaml.MappingNode {
		d.fail(n, "%s is %s; write a mapping with %s", what, kind(n), names(fields))
		return
	}
	d.depth++
	defer func() { d.depth-- }()
	here := map[string]bool{}
	var merges []*yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.Tag == "!!merge" {
			merges = append(merges, value)
			continue
		}
		if here[key.Value] {
			d.fail(key, "%s has %q twice; remove one", what, key.Value)
			continue
		}
		here[key.Value] = true
		if seen[key.Value] {
			continue // overrides the merged value
		}
		seen[key.Value] = true
		if !decodeField(fields, key.Value, value) {
			d.fail(key, "%s has no field %q; write one of %s", what, key.Value, names(fields))
		}
	}
	for _, m := range merges {
		list := []*yaml.Node{m}
		if r := resolve(m); r.Kind == yaml.SequenceNode {
			list = r.Content
		}
		for _, one := range list {
			d.merged(one, what, fields, seen)
		}
	}
}

func decodeField(fields []field, name string, value *yaml.Node) bool {
	for _, f := range fields {
		if f.name == name {
			f.decode(value)
			return true
		}
	}
	return false
}

// list decodes a sequence; a missing value is an empty one.
func (d *decoder) list(n *yaml.Node, what string, each func(*yaml.Node)) {
	n, ok := d.enter(n)
	if !ok || n.Tag == "!!null" {
		return
	}
	if n.Kind != yaml.SequenceNode {
		d.fail(n, "%s is %s; write a list", what, kind(n))
		return
	}
	d.depth++
	for _, one := range n.Content {
		each(one)
	}
	d.depth--
}

// text decodes a name; numbers and the like are taken as they are written.
func text[S ~string](d *decoder, what string, into *S) field {
	return field{what, func(n *yaml.Node) {
		n, ok := d.enter(n)
		switch {
		case !ok || n.Tag == "!!null":
		case n.Kind != yaml.ScalarNode:
			d.fail(n, "%s is %s; write a text", what, kind(n))
		default:
			*into = S(n.Value)
		}
	}}
}

func number[N int | float64](d *decoder, what, expect string, into *N) field {
	return field{what, func(n *yaml.Node) {
		n, ok := d.enter(n)
		if !ok || n.Tag == "!!null" {
			return
		}
		if n.Kind != yaml.ScalarNode || n.Tag == "!!str" || n.Decode(into) != nil {
			d.fail(n, "%s is %s; write %s", what, kind(n), expect)
		}
	}}
}

func (d *decoder) decodeTopology(n *yaml.Node, t *faultcalc.Topology) {
	d.object(n, "the document",
		field{"machines", func(n *yaml.Node) {
			d.list(n, "machines", func(n *yaml.Node) {
				var m faultcalc.Machine
				d.object(n, "the machine",
					text(d, "name", &m.Name),
					number(d, "failureProbability", "a number from 0 to 1", &m.FailureProbability),
					field{"labels", func(n *yaml.Node) { m.Labels = d.labels(n) }},
					field{"addresses", func(n *yaml.Node) {
						d.list(n, "addresses", func(n *yaml.Node) {
							var a string
							text(d, "address", &a).decode(n)
							m.Addresses = append(m.Addresses, a)
						})
					}})
				t.Machines = append(t.Machines, m)
			})
		}},
		field{"instances", func(n *yaml.Node) {
			d.list(n, "instances", func(n *yaml.Node) {
				var i faultcalc.Instance
				d.object(n, "the instance", text(d, "name", &i.Name), text(d, "machine", &i.Machine), text(d, "address", &i.Address))
				t.Instances = append(t.Instances, i)
			})
		}},
		field{"tables", func(n *yaml.Node) {
			d.list(n, "tables", func(n *yaml.Node) { t.Tables = append(t.Tables, d.table(n)) })
		}})
}

func (d *decoder) table(n *yaml.Node) (t faultcalc.Table) {
	d.object(n, "the table",
		text(d, "name", &t.Name), text(d, "rule", &t.Rule), number(d, "k", "a whole number", &t.K),
		field{"shards", func(n *yaml.Node) {
			d.list(n, "shards", func(n *yaml.Node) { t.Shards = append(t.Shards, d.shard(n)) })
		}})
	return t
}

func (d *decoder) shard(n *yaml.Node) (s faultcalc.Shard) {
	d.object(n, "the shard",
		number(d, "number", "a whole number", &s.Number), text(d, "rule", &s.Rule), number(d, "k", "a whole number", &s.K),
		field{"replicas", func(n *yaml.Node) {
			d.list(n, "replicas", func(n *yaml.Node) {
				var r faultcalc.Replica
				d.object(n, "the replica", text(d, "instance", &r.Instance), text(d, "role", &r.Role), text(d, "state", &r.State))
				s.Replicas = append(s.Replicas, r)
			})
		}})
	return s
}

func (d *decoder) labels(n *yaml.Node) map[string]string {
	n, ok := d.enter(n)
	if !ok || n.Tag == "!!null" {
		return nil
	}
	if n.Kind != yaml.MappingNode {
		d.fail(n, "labels is %s; write a mapping such as {zone: a}", kind(n))
		return nil
	}
	labels := make(map[string]string, len(n.Content)/2)
	d.depth++
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i].Value
		if _, twice := labels[key]; twice {
			d.fail(n.Content[i], "labels has %q twice; remove one", key)
		}
		var value string
		text(d, "label "+key, &value).decode(n.Content[i+1])
		labels[key] = value
	}
	d.depth--
	return labels
}

func names(fields []field) string {
	list := make([]string, len(fields))
	for i, f := range fields {
		list[i] = f.name
	}
	return strings.Join(list, ", ")
}

func kind(n *yaml.Node) string {
	const most = 40
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	case yaml.ScalarNode, yaml.DocumentNode, yaml.AliasNode:
	}
	if len(n.Value) > most {
		return fmt.Sprintf("%q…", n.Value[:most])
	}
	return fmt.Sprintf("%q", n.Value)
}
