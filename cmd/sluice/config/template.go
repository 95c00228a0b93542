package config

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"
)

// Template writes a configuration file with every flag at its default, commented out.
func Template(w io.Writer, header string, flags *pflag.FlagSet) error {
	if _, err := fmt.Fprint(w, comment(header)); err != nil {
		return err
	}
	var failure error
	flags.VisitAll(func(flag *pflag.Flag) {
		if failure != nil {
			return
		}
		line, err := yaml.Marshal(map[string]any{Key(flag.Name): defaultValue(flag)})
		if err == nil {
			_, err = fmt.Fprintf(w, "\n%s# --%s, %s\n#%s", comment(flag.Usage), flag.Name, Variable(flag.Name), line)
		}
		failure = err
	})
	return failure
}

// defaultValue gives a flag's default the type that YAML shows as the file wants it.
func defaultValue(flag *pflag.Flag) any {
	if list, isList := flag.Value.(pflag.SliceValue); isList {
		node := yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
		for _, text := range list.GetSlice() {
			node.Content = append(node.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: text})
		}
		return &node
	}
	switch flag.Value.Type() {
	case "string", "duration":
		return flag.DefValue
	}
	var value any
	if yaml.Unmarshal([]byte(flag.DefValue), &value) != nil {
		return flag.DefValue
	}
	return value
}

func comment(text string) string {
	var lines strings.Builder
	for line := range strings.Lines(text) {
		fmt.Fprintln(&lines, strings.TrimRight("# "+line, " \n"))
	}
	return lines.String()
}
