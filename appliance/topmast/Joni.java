// The samples of the grok patterns under joni, the engine that Logstash's grok filter uses, by Elasticsearch's own
// grok library. Standard input: `NAME<tab>definition` a line, an empty line, `PATTERN<tab>base64 of the text` a line.
// Standard output: for each text `-` when it does not fit, else its fields: `name=type:base64` with tabs between.

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.Map;
import org.elasticsearch.grok.Grok;
import org.elasticsearch.grok.PatternBank;

public class Joni {
    public static void main(String[] arguments) throws Exception {
        var in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        Map<String, String> bank = new LinkedHashMap<>();
        String line;
        while ((line = in.readLine()) != null && !line.isEmpty()) {
            int tab = line.indexOf('\t');
            bank.put(line.substring(0, tab), line.substring(tab + 1));
        }
        Map<String, Grok> compiled = new HashMap<>();
        var patterns = new PatternBank(bank);
        var out = new StringBuilder();
        while ((line = in.readLine()) != null) {
            String[] parts = line.split("\t", 2);
            String text = new String(Base64.getDecoder().decode(parts[1]), StandardCharsets.UTF_8);
            Grok grok = compiled.computeIfAbsent(
                parts[0], name -> new Grok(patterns, "\\A%{" + name + "}\\z", message -> {}));
            Map<String, Object> found = grok.captures(text);
            if (found == null) {
                out.append("-\n");
                continue;
            }
            for (var each : found.entrySet()) {
                byte[] value = String.valueOf(each.getValue()).getBytes(StandardCharsets.UTF_8);
                out.append(each.getKey()).append('=').append(each.getValue().getClass().getSimpleName());
                out.append(':').append(Base64.getEncoder().encodeToString(value)).append('\t');
            }
            out.append('\n');
        }
        System.out.print(out);
    }
}
