package cli

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"strings"
	"text/tabwriter"
)

// document is the answer of a command in every format: fields for JSON and
// YAML, rows for CSV and the table, notes above the table.
type document struct {
	fields  object
	notes   []string
	header  []string
	rows    iter.Seq[[]string]
	oneLine bool // JSON without line breaks, for $GITHUB_OUTPUT
}

// object is a JSON object that keeps the order of its fields.
type object []field

// MarshalJSON prints the object on one line, for lists in YAML.
func (o object) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	w := bufio.NewWriter(&b)
	if err := (&jsonPrinter{w: w, flat: true}).value(o, 0); err != nil {
		return nil, err
	}
	if err := w.Flush(); err != nil {
		return nil, fmt.Errorf("encode: %w", err)
	}
	return b.Bytes(), nil
}

// field is one value: object, stream, func() any (called when the field is
// written, after all before it), or anything that encoding/json takes.
type field struct {
	name  string
	value any
}

// absent is what a late value returns to be left out.
type absent struct{}

// settle calls late values and drops absent ones, just before they are due.
func (o object) settle() iter.Seq[field] {
	return func(yield func(field) bool) {
		for _, f := range o {
			if late, ok := f.value.(func() any); ok {
				f.value = late()
			}
			if _, ok := f.value.(absent); ok {
				continue
			}
			if !yield(f) {
				return
			}
		}
	}
}

// stream is a list that is written while it is produced.
type stream iter.Seq[any]

// write prints the document in one of the formats but dot.
func (d *document) write(w io.Writer, format string) error {
	buf := bufio.NewWriter(w)
	var err error
	switch format {
	case "json":
		p := &jsonPrinter{w: buf, flat: d.oneLine}
		err = p.value(d.fields, 0)
		p.raw("\n")
	case "yaml":
		err = writeYAML(buf, d.fields, "")
	case "csv":
		err = d.writeCSV(buf)
	default:
		err = d.writeTable(buf)
	}
	if err != nil {
		return err
	}
	return buf.Flush()
}

// jsonPrinter breaks lines between the fields of outer objects and the
// elements of outer lists only, so that sets stay on one line.
type jsonPrinter struct {
	w    *bufio.Writer
	flat bool
}

// raw writes text; errors of a bufio.Writer stick and show up in Flush.
func (p *jsonPrinter) raw(s string) {
	_, _ = p.w.WriteString(s)
}

func (p *jsonPrinter) newline(depth int) {
	if !p.flat {
		p.raw("\n" + strings.Repeat("  ", depth))
	}
}

func (p *jsonPrinter) value(v any, depth int) error {
	switch v := v.(type) {
	case object:
		p.raw("{")
		first := true
		for f := range v.settle() {
			if !first {
				p.raw(",")
			}
			first = false
			p.newline(depth + 1)
			name, err := encode(f.name)
			if err != nil {
				return err
			}
			p.raw(name + ":")
			if !p.flat {
				p.raw(" ")
			}
			if err := p.value(f.value, depth+1); err != nil {
				return err
			}
		}
		p.newline(depth)
		p.raw("}")
		return nil
	case stream:
		p.raw("[")
		n := 0
		var failed error
		v(func(one any) bool {
			if n++; n > 1 {
				p.raw(",")
			}
			p.newline(depth + 1)
			failed = p.value(one, depth+1)
			return failed == nil
		})
		if n > 0 {
			p.newline(depth)
		}
		p.raw("]")
		return failed
	default:
		text, err := encode(v)
		p.raw(text)
		return err
	}
}

// encode is JSON on one line, with < and > as they are.
func encode(v any) (string, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return "", fmt.Errorf("encode %T: %w", v, err)
	}
	return strings.TrimSuffix(b.String(), "\n"), nil
}

// writeYAML prints block mappings and lists with JSON values, which are YAML.
func writeYAML(w *bufio.Writer, o object, indent string) error {
	for f := range o.settle() {
		switch v := f.value.(type) {
		case object:
			printf(w, "%s%s:\n", indent, f.name)
			if err := writeYAML(w, v, indent+"  "); err != nil {
				return err
			}
		case stream:
			if err := yamlList(w, f.name, v, indent); err != nil {
				return err
			}
		default:
			text, err := encode(v)
			if err != nil {
				return err
			}
			printf(w, "%s%s: %s\n", indent, f.name, text)
		}
	}
	return nil
}

func yamlList(w *bufio.Writer, name string, list stream, indent string) error {
	printf(w, "%s%s:", indent, name)
	n := 0
	var failed error
	list(func(one any) bool {
		n++
		var text string
		text, failed = encode(one)
		printf(w, "\n%s  - %s", indent, text)
		return failed == nil
	})
	if n == 0 {
		printf(w, " []")
	}
	printLine(w)
	return failed
}

func (d *document) writeCSV(w io.Writer) error {
	c := csv.NewWriter(w)
	if err := c.Write(d.header); err != nil {
		return fmt.Errorf("write CSV: %w", err)
	}
	for row := range d.rows {
		if err := c.Write(row); err != nil {
			return fmt.Errorf("write CSV: %w", err)
		}
	}
	c.Flush()
	return c.Error()
}

func (d *document) writeTable(w io.Writer) error {
	for _, n := range d.notes {
		printLine(w, n)
	}
	if d.rows == nil {
		return nil
	}
	if len(d.notes) > 0 {
		printLine(w)
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	printLine(t, strings.ToUpper(strings.Join(d.header, "\t")))
	for row := range d.rows {
		printLine(t, strings.Join(row, "\t"))
	}
	return t.Flush()
}

// printf and printLine drop write errors: those of a bufio.Writer stick and are
// reported by Flush, and those of standard error have nowhere to go.
func printf(w io.Writer, format string, args ...any) { _, _ = fmt.Fprintf(w, format, args...) }

func printLine(w io.Writer, args ...any) { _, _ = fmt.Fprintln(w, args...) }
