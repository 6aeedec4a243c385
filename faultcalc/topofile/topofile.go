// Package topofile reads topology documents, YAML or JSON, for package
// faultcalc: strictly, with the file and line of every problem.
package topofile

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/cutset-dev/cutset/faultcalc"
)

// MaxBytes is the size of the largest document that is read.
const MaxBytes = 64 << 20

// maxMarks bounds the memory of a YAML document, whose tree takes some 200
// bytes a value: it is the number of commas, colons and line ends, one of which
// goes with every value. 100 000 shards of three replicas have 2.3 million.
const maxMarks = 5_000_000

// ErrDocument is wrapped by every error about the text of a document.
var ErrDocument = errors.New("bad topology document")

// Error is one problem and where it is.
type Error struct {
	File    string
	Line    int // 1 is the first; 0 if there is none to point at
	Message string
	cause   error
}

// Error returns file:line: message, in the form that editors can follow.
func (e *Error) Error() string {
	if e.Line == 0 {
		return e.File + ": " + e.Message
	}
	return e.File + ":" + strconv.Itoa(e.Line) + ": " + e.Message
}

// Unwrap returns the [*faultcalc.Problem], or [ErrDocument].
func (e *Error) Unwrap() error { return e.cause }

// Read reads one document; see [Parse].
func Read(file string, r io.Reader) (faultcalc.Topology, error) {
	data, err := io.ReadAll(io.LimitReader(r, MaxBytes+1))
	if err != nil {
		return faultcalc.Topology{}, fmt.Errorf("read %s: %w", file, err)
	}
	return Parse(file, data)
}

// Parse decodes and validates one document. Unknown and repeated fields are
// errors. The error joins one [*Error] per problem; file is how they name the
// document. Aliases and merge keys of YAML work, but only up to a bound on
// what they expand to.
func Parse(file string, data []byte) (faultcalc.Topology, error) {
	if len(data) > MaxBytes {
		return faultcalc.Topology{}, &Error{File: file, cause: ErrDocument, Message: fmt.Sprintf(
			"the document is larger than %d MiB; write only the table of interest, or coarser machines", MaxBytes>>20,
		)}
	}
	isJSON := bytes.HasPrefix(bytes.TrimLeft(data, " \t\r\n"), []byte("{"))
	var fast faultcalc.Topology
	var jsonErr error
	if isJSON {
		if jsonErr = decodeJSON(data, &fast); jsonErr == nil && fast.Validate() == nil {
			return fast, nil
		}
	}
	// Only the tree knows the lines, so it is built for YAML and for problems.
	topo, root, err := decodeYAML(file, data)
	if isJSON && root == nil && err != nil {
		if jsonErr != nil {
			err = jsonProblem(file, data, jsonErr)
		} else {
			err = &Error{File: file, Message: fast.Validate().Error(), cause: ErrDocument}
		}
	}
	if err != nil {
		return faultcalc.Topology{}, err
	}
	if err := topo.Validate(); err != nil {
		return faultcalc.Topology{}, located(file, root, err)
	}
	return topo, nil
}

func decodeJSON(data []byte, into *faultcalc.Topology) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("there is more text after the object; write one object")
	}
	return nil
}

func jsonProblem(file string, data []byte, err error) error {
	e := &Error{File: file, Message: strings.TrimPrefix(err.Error(), "json: "), cause: ErrDocument}
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		e.Line = 1 + bytes.Count(data[:min(int(syntax.Offset), len(data))], []byte("\n"))
	case errors.As(err, &kind):
		e.Line = 1 + bytes.Count(data[:min(int(kind.Offset), len(data))], []byte("\n"))
	}
	return e
}

var yamlLine = regexp.MustCompile(`^(?:yaml: )?(?:line (\d+): )?`)

// decodeYAML returns the tree as well; it is nil if the text is not YAML.
func decodeYAML(file string, data []byte) (faultcalc.Topology, *yaml.Node, error) {
	var topo faultcalc.Topology
	marks := 0
	for _, c := range []byte(",:\n") {
		marks += bytes.Count(data, []byte{c})
	}
	if marks > maxMarks {
		return topo, nil, &Error{File: file, cause: ErrDocument, Message: fmt.Sprintf(
			"the document has more than %d values; write it as JSON, which takes less memory, or with fewer shards", maxMarks)}
	}
	var doc yaml.Node
	d := yaml.NewDecoder(bytes.NewReader(data))
	if err := d.Decode(&doc); errors.Is(err, io.EOF) || err == nil && len(doc.Content) == 0 {
		return topo, nil, &Error{File: file, Line: 1, cause: ErrDocument, Message: "the document is empty; write machines, instances and tables"}
	} else if err != nil {
		at := yamlLine.FindStringSubmatch(err.Error())
		line := 1
		if n, convErr := strconv.Atoi(at[1]); convErr == nil {
			line = n
		}
		return topo, nil, &Error{File: file, Line: line, Message: "not YAML: " + strings.TrimPrefix(err.Error(), at[0]), cause: ErrDocument}
	}
	root := doc.Content[0]
	var second yaml.Node
	if err := d.Decode(&second); !errors.Is(err, io.EOF) {
		return topo, root, &Error{File: file, Line: max(second.Line, 1), Message: "there is a second document; write one document per file", cause: ErrDocument}
	}
	dec := &decoder{file: file}
	dec.decodeTopology(root, &topo)
	return topo, root, errors.Join(dec.errs...)
}

// located gives the problems of a topology their lines.
func located(file string, root *yaml.Node, err error) error {
	list := []error{err}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		list = joined.Unwrap()
	}
	for i, one := range list {
		var p *faultcalc.Problem
		if errors.As(one, &p) {
			list[i] = &Error{File: file, Line: lineOf(root, p.Path), Message: p.Error(), cause: p}
		}
	}
	return errors.Join(list...)
}

// lineOf follows a path like tables[0].shards[2].k as far as it leads.
func lineOf(n *yaml.Node, path string) int {
	line := n.Line
	for _, step := range strings.FieldsFunc(path, func(r rune) bool { return r == '.' || r == '[' || r == ']' }) {
		n = resolve(n)
		var next *yaml.Node
		if i, err := strconv.Atoi(step); err == nil && n.Kind == yaml.SequenceNode && i < len(n.Content) {
			next = n.Content[i]
		} else if n.Kind == yaml.MappingNode {
			next = lookup(n, step, 0)
		}
		if next == nil {
			return line
		}
		n, line = next, next.Line
	}
	return line
}

// lookup finds the value of a key, also behind merge keys.
func lookup(n *yaml.Node, key string, depth int) *yaml.Node {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	for i := 0; i+1 < len(n.Content) && depth < maxDepth; i += 2 {
		if n.Content[i].Tag != "!!merge" {
			continue
		}
		if m := resolve(n.Content[i+1]); m.Kind == yaml.MappingNode {
			if v := lookup(m, key, depth+1); v != nil {
				return v
			}
		}
	}
	return nil
}

// resolve follows aliases; yaml has no alias of an alias.
func resolve(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode && n.Alias != nil {
		return n.Alias
	}
	return n
}
