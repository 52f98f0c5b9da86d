// Command grafana loads a dashboard as Grafana's own Foundation SDK has its types: every field must be one of them, every panel of a kind that is registered here,
// every query one of Prometheus. It reads the dashboard from its input, and writes how many panels it has, or all that is wrong.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
	"github.com/grafana/grafana-foundation-sdk/go/stat"
	"github.com/grafana/grafana-foundation-sdk/go/timeseries"
)

func main() {
	text, err := io.ReadAll(os.Stdin)
	end(err)
	kinds := cog.NewRuntime()
	kinds.RegisterPanelcfgVariant(timeseries.VariantConfig())
	kinds.RegisterPanelcfgVariant(stat.VariantConfig())
	kinds.RegisterDataqueryVariant(prometheus.VariantConfig())
	end(new(dashboard.Dashboard).UnmarshalJSONStrict(text))
	// Reading strictly leaves panels out of what it reads.
	var loaded dashboard.Dashboard
	end(json.Unmarshal(text, &loaded))
	end(loaded.Validate())
	panels := 0
	for _, each := range loaded.Panels {
		if each.Panel == nil {
			continue
		}
		if _, known := cog.ConfigForPanelcfgVariant(each.Panel.Type); !known {
			end(fmt.Errorf("panel %q: unknown type %q", *each.Panel.Title, each.Panel.Type))
		}
		panels++
	}
	fmt.Println(panels)
}

// end ends the program by what is wrong. The SDK returns a list of faults that may be empty.
func end(err error) {
	if err == nil || err.Error() == "" {
		return
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
