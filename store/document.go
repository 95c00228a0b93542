package store

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// document reads a YAML document field by field, so that every error names the field as its author wrote it.
// It collects errors rather than stop at the first.
type document struct {
	errors []error
}

const mappingNeeded = "must be a mapping (name: value, one a line)"

// field reads one value of a mapping into wherever it belongs.
type field func(node *yaml.Node, path string)

func (d *document) fail(node *yaml.Node, path, format string, arguments ...any) {
	d.errors = append(d.errors, fmt.Errorf("%w: line %d: %s: %s", ErrInvalid, node.Line, path, fmt.Sprintf(format, arguments...)))
}

// parseYAML gives the root node of the only document in text. Anchors, aliases and tags are refused: they let
// a short text stand for a huge one, and nothing here needs them.
func parseYAML(text []byte) (*yaml.Node, error) {
	if len(text) > MaxFunctionYAMLBytes {
		return nil, fmt.Errorf("%w: document: %d bytes are over the limit of %d", ErrInvalid, len(text), MaxFunctionYAMLBytes)
	}
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	var root, second yaml.Node
	if err := decoder.Decode(&root); errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w: document: empty", ErrInvalid)
	} else if err != nil {
		return nil, fmt.Errorf("%w: document: %w", ErrInvalid, err)
	}
	if err := decoder.Decode(&second); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w: document: more than one; put each function into a file of its own", ErrInvalid)
	}
	if err := checkNode(&root, 0); err != nil {
		return nil, err
	}
	return root.Content[0], nil
}

func checkNode(node *yaml.Node, depth int) error {
	switch {
	case node.Kind == yaml.AliasNode || node.Anchor != "":
		return fmt.Errorf("%w: line %d: anchors and aliases are not accepted", ErrInvalid, node.Line)
	case node.Style&yaml.TaggedStyle != 0:
		return fmt.Errorf("%w: line %d: the tag %q is not accepted", ErrInvalid, node.Line, clip(node.Tag))
	case depth > maxYAMLDepth:
		return fmt.Errorf("%w: line %d: nested deeper than %d", ErrInvalid, node.Line, maxYAMLDepth)
	}
	for _, child := range node.Content {
		if err := checkNode(child, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// mapping hands each value of a mapping to its field; a field that is not listed or comes twice is an error.
// It returns which fields were given, nil if node is no mapping.
func (d *document) mapping(node *yaml.Node, path string, fields map[string]field) map[string]bool {
	if node.Kind != yaml.MappingNode {
		d.fail(node, orDocument(path), mappingNeeded)
		return nil
	}
	given := make(map[string]bool)
	d.entries(node, path, func(key string, keyNode, value *yaml.Node) {
		read, known := fields[key]
		if !known {
			names := slices.Sorted(maps.Keys(fields))
			d.fail(keyNode, join(path, clip(key)), "unknown field; known here: %s", strings.Join(names, ", "))
			return
		}
		given[key] = true
		read(value, join(path, key))
	})
	return given
}

func (d *document) entries(node *yaml.Node, path string, each func(key string, keyNode, value *yaml.Node)) {
	if node.Kind != yaml.MappingNode {
		d.fail(node, orDocument(path), mappingNeeded)
		return
	}
	seen := make(map[string]bool)
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		if key.Kind != yaml.ScalarNode {
			d.fail(key, orDocument(path), "a field's name must be a plain text")
			continue
		}
		if seen[key.Value] {
			d.fail(key, join(path, clip(key.Value)), "given twice")
			continue
		}
		seen[key.Value] = true
		each(key.Value, key, value)
	}
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

func orDocument(path string) string {
	if path == "" {
		return "document"
	}
	return path
}
