package report

import (
	"bytes"
	"encoding"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// Saved reports, and one of a run that was never set up, validate as they are and as they are written.
func TestSchema(t *testing.T) {
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	schema, err := compiler.Compile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	_, healthy := fixture(t, "healthy")
	_, failing := fixture(t, "failing")
	for name, r := range map[string]*Report{"healthy": healthy, "failing": failing, "not set up": {Run: "x-1", SetUpError: "no database"}} {
		file := filepath.Join(t.TempDir(), "report.json")
		if err := r.Write(file); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := validate(schema, text); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := validate(schema, bytes.ReplaceAll(text, []byte(`"run":`), []byte(`"ran":`))); err == nil {
			t.Errorf("%s: the schema accepts a report that does not say of which run", name)
		}
	}
	for _, name := range []string{"healthy", "failing"} {
		text, err := os.ReadFile(filepath.Join("testdata", name, "report.json"))
		if err != nil {
			t.Fatal(err)
		}
		if err := validate(schema, text); err != nil {
			t.Errorf("testdata/%s: %v", name, err)
		}
		if err := validate(schema, bytes.Replace(text, []byte(`"outcome": "`), []byte(`"outcome": "un`), 1)); err == nil {
			t.Errorf("testdata/%s: the schema accepts an outcome that there is not", name)
		}
	}
}

func validate(schema *jsonschema.Schema, text []byte) error {
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return err
	}
	return schema.Validate(value)
}

// node is as much of a JSON Schema as this test reads.
type node struct {
	Ref        string          `json:"$ref"`
	Required   []string        `json:"required"`
	Properties map[string]node `json:"properties"`
	Items      *node           `json:"items"`
	Others     *node           `json:"additionalProperties"`
	Defs       map[string]node `json:"$defs"`
}

// Every field of a report is in the schema, and required there unless it may be left out.
func TestSchemaIsComplete(t *testing.T) {
	text, err := os.ReadFile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	var root node
	if err := json.Unmarshal(text, &root); err != nil {
		t.Fatal(err)
	}
	root.covers(t, root, reflect.TypeFor[Report](), "report")
}

func (root node) covers(t *testing.T, n node, typ reflect.Type, path string) {
	t.Helper()
	if n.Ref != "" {
		n = root.Defs[strings.TrimPrefix(n.Ref, "#/$defs/")]
	}
	switch {
	case typ.Implements(reflect.TypeFor[encoding.TextMarshaler]()) || typ == reflect.TypeFor[time.Duration]():
	case typ.Kind() == reflect.Slice && n.Items != nil:
		root.covers(t, *n.Items, typ.Elem(), path+"[]")
	case typ.Kind() == reflect.Struct:
		for _, field := range reflect.VisibleFields(typ) {
			name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
			if !field.IsExported() || field.Anonymous || name == "-" {
				continue
			}
			property, ok := n.Properties[name]
			switch optional := strings.Contains(options, "omit"); {
			case !ok && n.Others != nil:
			case !ok:
				t.Errorf("schema.json does not describe %s.%s", path, name)
			case !optional && n.Others == nil && !slices.Contains(n.Required, name):
				t.Errorf("schema.json does not require %s.%s, which is always there", path, name)
			case optional && slices.Contains(n.Required, name):
				t.Errorf("schema.json requires %s.%s, which may be left out", path, name)
			default:
				root.covers(t, property, field.Type, path+"."+name)
			}
		}
	}
}
