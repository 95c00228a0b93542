package store

import (
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// text reads a string of 1 to limit bytes without NUL. Numbers and truth values must be in quotes.
func (d *document) text(node *yaml.Node, path string, limit int) string {
	switch {
	case node.Kind != yaml.ScalarNode || node.Tag != "!!str":
		d.fail(node, path, "must be a text (put numbers, true, false and null in quotes)")
	case node.Value == "":
		d.fail(node, path, "must not be empty")
	case len(node.Value) > limit:
		d.fail(node, path, "%d bytes are over the limit of %d", len(node.Value), limit)
	case strings.ContainsRune(node.Value, 0):
		d.fail(node, path, "must not hold a zero byte")
	default:
		return node.Value
	}
	return ""
}

func (d *document) exactly(wanted string) field {
	return func(node *yaml.Node, path string) {
		if node.Kind != yaml.ScalarNode || node.Value != wanted {
			d.fail(node, path, "must be %s, is %q", wanted, clip(node.Value))
		}
	}
}

func (d *document) oneOf(target *string, choices ...string) field {
	return func(node *yaml.Node, path string) {
		for _, choice := range choices {
			if node.Kind == yaml.ScalarNode && node.Value == choice {
				*target = choice
				return
			}
		}
		d.fail(node, path, "must be one of %s, is %q", strings.Join(choices, ", "), clip(node.Value))
	}
}

func (d *document) number(target *int, low, high int) field {
	return func(node *yaml.Node, path string) {
		value, err := strconv.Atoi(node.Value)
		switch {
		case node.Kind != yaml.ScalarNode || node.Tag != "!!int" || err != nil:
			d.fail(node, path, "must be a whole number from %d to %d, is %q", low, high, clip(node.Value))
		case value < low || value > high:
			d.fail(node, path, "%d is out of the range %d to %d", value, low, high)
		default:
			*target = value
		}
	}
}

// duration reads a whole number of units.
func (d *document) duration(target *time.Duration, unit, low, high time.Duration) field {
	return func(node *yaml.Node, path string) {
		count := int(*target / unit)
		d.number(&count, int(low/unit), int(high/unit))(node, path)
		*target = time.Duration(count) * unit
	}
}

func (d *document) cpu(target *int) field {
	return func(node *yaml.Node, path string) {
		amount, err := ParseCPU(node.Value)
		switch {
		case node.Kind != yaml.ScalarNode || err != nil:
			d.fail(node, path, "%q is not an amount of CPU such as 500m or 2, at most %d", clip(node.Value), MaxCPUMilli/1000)
		case amount < MinCPUMilli:
			d.fail(node, path, "%s is below the limit of %dm", node.Value, MinCPUMilli)
		default:
			*target = amount
		}
	}
}

func (d *document) memory(target *uint64, low uint64) field {
	return func(node *yaml.Node, path string) {
		amount, err := ParseMemory(node.Value)
		switch {
		case node.Kind != yaml.ScalarNode || err != nil:
			d.fail(node, path, "%q is not an amount of memory such as 256Mi or 1Gi", clip(node.Value))
		case amount < low || amount > MaxMemoryBytes:
			d.fail(node, path, "%s is out of the range %d to %d bytes", node.Value, low, uint64(MaxMemoryBytes))
		default:
			*target = amount
		}
	}
}
