<?xml version="1.0" encoding="utf-8"?>
<!DOCTYPE TS>
<TS version="2.1" language="de_DE">
<context>
    <name>Conversation</name>
    <message>
        <source>%1 ms</source>
        <translation>%1 ms</translation>
    </message>
    <message>
        <source>%1 s</source>
        <translation>%1 s</translation>
    </message>
    <message>
        <source>ended by itself</source>
        <translation>von selbst beendet</translation>
    </message>
    <message>
        <source>reached the token limit</source>
        <translation>Token-Grenze erreicht</translation>
    </message>
    <message>
        <source>context full</source>
        <translation>Kontext voll</translation>
    </message>
    <message>
        <source>stopped</source>
        <translation>angehalten</translation>
    </message>
    <message>
        <source>failed</source>
        <translation>fehlgeschlagen</translation>
    </message>
    <message>
        <source>%1 tokens/s</source>
        <translation>%1 Token/s</translation>
    </message>
    <message>
        <source>first token %1</source>
        <translation>erstes Token nach %1</translation>
    </message>
    <message>
        <source>1 token</source>
        <translation>1 Token</translation>
    </message>
    <message>
        <source>%1 tokens</source>
        <translation>%1 Token</translation>
    </message>
    <message>
        <source>altered model</source>
        <translation>verändertes Modell</translation>
    </message>
</context>
<context>
    <name>Dropped</name>
    <message>
        <source>Use this tokenizer with %1</source>
        <translation>Diesen Tokenizer mit %1 benutzen</translation>
    </message>
    <message>
        <source>Use this chat template with %1</source>
        <translation>Diese Chat-Vorlage mit %1 benutzen</translation>
    </message>
    <message>
        <source>Use these masses with %1</source>
        <translation>Diese Massen mit %1 benutzen</translation>
    </message>
    <message>
        <source>tokenizer %1 from %2</source>
        <translation>Tokenizer %1 aus %2</translation>
    </message>
    <message>
        <source>chat template %1 from %2</source>
        <translation>Chat-Vorlage %1 aus %2</translation>
    </message>
    <message>
        <source>gravity masses %1 from %2</source>
        <translation>Gravitationsmassen %1 aus %2</translation>
    </message>
</context>
<context>
    <name>Engine</name>
    <message>
        <source>Model&apos;s own</source>
        <translation>Vom Modell empfohlen</translation>
    </message>
    <message>
        <source>As the model&apos;s generation_config.json advises.</source>
        <translation>Wie es die generation_config.json des Modells rät.</translation>
    </message>
    <message>
        <source>reading headers</source>
        <translation>Kopfdaten werden gelesen</translation>
    </message>
    <message>
        <source>building the model</source>
        <translation>Modell wird aufgebaut</translation>
    </message>
    <message>
        <source>reading the tokenizer</source>
        <translation>Tokenizer wird gelesen</translation>
    </message>
    <message>
        <source>preparing the weights</source>
        <translation>Gewichte werden vorbereitet</translation>
    </message>
    <message>
        <source>ready</source>
        <translation>bereit</translation>
    </message>
    <message>
        <source>reading the prompt</source>
        <translation>Eingabe wird gelesen</translation>
    </message>
    <message>
        <source>reading the conversation</source>
        <translation>Gespräch wird gelesen</translation>
    </message>
    <message>
        <source>looking back</source>
        <translation>Rückblick</translation>
    </message>
    <message>
        <source>putting the figure together</source>
        <translation>Abbildung wird zusammengestellt</translation>
    </message>
    <message>
        <source>handing over the numbers</source>
        <translation>Zahlen werden übergeben</translation>
    </message>
    <message>
        <source>starting to draw</source>
        <translation>Zeichnen beginnt</translation>
    </message>
    <message>
        <source>reading the numbers</source>
        <translation>Zahlen werden gelesen</translation>
    </message>
    <message>
        <source>drawing</source>
        <translation>wird gezeichnet</translation>
    </message>
    <message>
        <source>writing</source>
        <translation>wird geschrieben</translation>
    </message>
    <message>
        <source>encoding the picture</source>
        <translation>Bild wird kodiert</translation>
    </message>
    <message>
        <source>hashing</source>
        <translation>Prüfsumme wird berechnet</translation>
    </message>
    <message>
        <source>measuring</source>
        <translation>wird gemessen</translation>
    </message>
    <message>
        <source>weights</source>
        <translation>Gewichte</translation>
    </message>
    <message>
        <source>cache</source>
        <translation>Zwischenspeicher</translation>
    </message>
    <message>
        <source>scratch</source>
        <translation>Arbeitsspeicher</translation>
    </message>
    <message>
        <source>capture</source>
        <translation>Mitschnitt</translation>
    </message>
    <message>
        <source>reserve</source>
        <translation>Reserve</translation>
    </message>
    <message>
        <source>embedding</source>
        <translation>Einbettung</translation>
    </message>
    <message>
        <source>attention</source>
        <translation>Aufmerksamkeit</translation>
    </message>
    <message>
        <source>router</source>
        <translation>Router</translation>
    </message>
    <message>
        <source>norms</source>
        <translation>Normierung</translation>
    </message>
    <message>
        <source>blocks</source>
        <translation>Blöcke</translation>
    </message>
    <message>
        <source>hyper_ffn</source>
        <translation>HyperFFN</translation>
    </message>
    <message>
        <source>lm_head</source>
        <translation>LM-Kopf</translation>
    </message>
    <message>
        <source>rope+norms</source>
        <translation>RoPE und Normierung</translation>
    </message>
    <message>
        <source>mlp</source>
        <translation>MLP</translation>
    </message>
    <message>
        <source>output</source>
        <translation>Ausgabe</translation>
    </message>
    <message>
        <source>LM head</source>
        <translation>LM-Kopf</translation>
    </message>
    <message>
        <source>Exact</source>
        <translation>Genau</translation>
    </message>
    <message>
        <source>Greedy: the same answer every time; right for equations and for measuring.</source>
        <translation>Gierig: jedes Mal dieselbe Antwort; richtig für Gleichungen und zum Messen.</translation>
    </message>
    <message>
        <source>Lively</source>
        <translation>Lebhaft</translation>
    </message>
    <message>
        <source>Pure temperature 0.8, nothing cut.</source>
        <translation>Reine Temperatur 0,8, nichts abgeschnitten.</translation>
    </message>
    <message>
        <source>Temperature 0.8 with top-p 0.95; the MoA cards advise to stay at 1.2 or below.</source>
        <translation>Temperatur 0,8 mit Top-p 0,95; die MoA-Karten raten, bei höchstens 1,2 zu bleiben.</translation>
    </message>
    <message>
        <source>Pure temperature</source>
        <translation>Reine Temperatur</translation>
    </message>
    <message>
        <source>Temperature 0.7 and nothing cut: the card warns that top-p ruins a model this small.</source>
        <translation>Temperatur 0,7 und nichts abgeschnitten: Die Karte warnt, dass Top-p ein so kleines Modell verdirbt.</translation>
    </message>
    <message>
        <source>weight</source>
        <translation>Gewicht</translation>
    </message>
    <message>
        <source>distance</source>
        <translation>Abstand</translation>
    </message>
    <message>
        <source>radius</source>
        <translation>Radius</translation>
    </message>
    <message>
        <source>layer %1</source>
        <translation>Schicht %1</translation>
    </message>
    <message>
        <source>all heads</source>
        <translation>alle Köpfe</translation>
    </message>
    <message>
        <source>head %1</source>
        <translation>Kopf %1</translation>
    </message>
    <message>
        <source>MLP</source>
        <translation>MLP</translation>
    </message>
    <message>
        <source>ffn</source>
        <translation>FFN</translation>
    </message>
    <message>
        <source>depth_routing</source>
        <translation>Tiefenrouting</translation>
    </message>
    <message>
        <source>layers %1–%2</source>
        <translation>Schichten %1–%2</translation>
    </message>
    <message>
        <source>embedding and %1</source>
        <translation>Embedding und %1</translation>
    </message>
    <message>
        <source>Certain: </source>
        <translation>Sicher: </translation>
    </message>
    <message>
        <source>Likely: </source>
        <translation>Wahrscheinlich: </translation>
    </message>
    <message>
        <source>all %1 tensors of schema %2 are there</source>
        <translation>alle %1 Tensoren des Schemas %2 sind da</translation>
    </message>
    <message>
        <source>, with the shapes that config.json implies</source>
        <translation>, mit den Formen, die config.json verlangt</translation>
    </message>
    <message>
        <source>, a depth router&apos;s query and gain in front of every attention and MLP among them</source>
        <translation>, darunter Anfrage und Verstärkung eines Tiefenrouters vor jeder Attention und jedem MLP</translation>
    </message>
    <message>
        <source>; sizes from tensor shapes and config.json</source>
        <translation>; die Größen stammen aus den Formen der Tensoren und aus config.json</translation>
    </message>
    <message>
        <source>; sizes from tensor shapes</source>
        <translation>; die Größen stammen aus den Formen der Tensoren</translation>
    </message>
    <message>
        <source>; assumed as published: %1</source>
        <translation>; angenommen wie veröffentlicht: %1</translation>
    </message>
    <message>
        <source>; semantics.json sets the knobs</source>
        <translation>; semantics.json stellt die Schalter ein</translation>
    </message>
    <message>
        <source>; what the published definition leaves open is read as the schema&apos;s preset has it</source>
        <translation>; was die veröffentlichte Definition offen lässt, wird nach der Vorgabe des Schemas gelesen</translation>
    </message>
    <message>
        <source>, and %1 holds a mass for each of %2 × %3 query heads</source>
        <translation>, und %1 enthält eine Masse für jeden der %2 × %3 Abfrageköpfe</translation>
    </message>
    <message>
        <source>, and %1 holds masses</source>
        <translation>, und %1 enthält Massen</translation>
    </message>
    <message>
        <source>; no mass file was found beside it, so it runs under dot-product attention (if its weights were adapted to gravity, attach their gravity_mass_log.pt: without it they write nonsense)</source>
        <translation>; daneben liegt keine Massendatei, also läuft es mit Skalarprodukt-Attention (wurden die Gewichte an Gravitation angepasst, so füge ihre gravity_mass_log.pt hinzu: ohne sie schreiben sie Unsinn)</translation>
    </message>
    <message>
        <source>bf16 by name</source>
        <translation>ausdrücklich verlangtem bf16</translation>
    </message>
    <message>
        <source>16 bits</source>
        <translation>16 Bit</translation>
    </message>
    <message>
        <source>subgroup size control</source>
        <translation>wählbare Subgruppengröße</translation>
    </message>
    <message>
        <source>integer dot products</source>
        <translation>ganzzahlige Skalarprodukte</translation>
    </message>
    <message>
        <source>integer dot products (slow)</source>
        <translation>ganzzahlige Skalarprodukte (langsam)</translation>
    </message>
    <message>
        <source>cooperative matrices</source>
        <translation>kooperative Matrizen</translation>
    </message>
    <message>
        <source>a queue for copies</source>
        <translation>eine Warteschlange für Kopien</translation>
    </message>
    <message>
        <source>subgroups of %1</source>
        <translation>Subgruppen aus %1</translation>
    </message>
    <message>
        <source>%1 (%2 times the speed)</source>
        <translation>%1 (%2-mal so schnell)</translation>
    </message>
    <message>
        <source>the device has no cooperative matrices</source>
        <translation>das Gerät hat keine kooperativen Matrizen</translation>
    </message>
    <message>
        <source>the device has cooperative matrices, but not 16-bit floats and Vulkan&apos;s memory model</source>
        <translation>das Gerät hat kooperative Matrizen, aber keine Gleitkommazahlen mit 16 Bit und nicht das Speichermodell von Vulkan</translation>
    </message>
    <message>
        <source>the device lets no kernel ask for full subgroups of one size</source>
        <translation>auf dem Gerät kann kein Kernel volle Subgroups einer festen Größe verlangen</translation>
    </message>
    <message>
        <source>the device does not say which cooperative matrices it has</source>
        <translation>das Gerät sagt nicht, welche kooperativen Matrizen es hat</translation>
    </message>
    <message>
        <source>none of the device&apos;s %1 kinds of cooperative matrices multiplies 16-bit floats in the sizes of the kernel</source>
        <translation>keine der %1 Arten kooperativer Matrizen des Geräts multipliziert Gleitkommazahlen mit 16 Bit in den Größen des Kernels</translation>
    </message>
    <message>
        <source>the shader compiler of this build did not know them</source>
        <translation>der Shader-Compiler dieses Programms kannte sie nicht</translation>
    </message>
    <message>
        <source>extensions of Vulkan 1.2 are switched off</source>
        <translation>Erweiterungen von Vulkan 1.2 sind ausgeschaltet</translation>
    </message>
    <message>
        <source>products with weights in %1 differ by %2 from those without, where %3 would be rounding</source>
        <translation>Produkte mit Gewichten in %1 weichen um %2 von denen ohne sie ab, wo %3 Rundung wäre</translation>
    </message>
    <message>
        <source>not faster with weights in %1</source>
        <translation>nicht schneller mit Gewichten in %1</translation>
    </message>
    <message>
        <source>Switched off.</source>
        <translation>Ausgeschaltet.</translation>
    </message>
    <message>
        <source>Not tried yet: that happens when the first prompt that they are for is read.</source>
        <translation>Noch nicht erprobt: Das geschieht, wenn der erste Prompt gelesen wird, für den sie da sind.</translation>
    </message>
    <message>
        <source>Being tried.</source>
        <translation>Werden gerade erprobt.</translation>
    </message>
    <message>
        <source>Used in prompts with weights in %1.</source>
        <translation>In Prompts verwendet mit Gewichten in %1.</translation>
    </message>
    <message>
        <source>Used in prompts with weights in %1; not in %2.</source>
        <translation>In Prompts verwendet mit Gewichten in %1, nicht mit solchen in %2.</translation>
    </message>
    <message>
        <source>Not used: %1.</source>
        <translation>Nicht verwendet: %1.</translation>
    </message>
    <message>
        <source>comparing</source>
        <translation>Vorhersagen werden verglichen</translation>
    </message>
</context>
<context>
    <name>Prompt</name>
    <message>
        <source>Up to here the conversation is kept but no longer given to the model, to make room.</source>
        <translation>Bis hierher bleibt das Gespräch erhalten, geht aber nicht mehr an das Modell, um Platz zu schaffen.</translation>
    </message>
    <message>
        <source>You</source>
        <translation>Du</translation>
    </message>
</context>
<context>
    <name>QObject</name>
    <message>
        <source>%1 · %2 tokens</source>
        <translation>%1 · %2 Token</translation>
    </message>
</context>
<context>
    <name>RecentModels</name>
    <message>
        <source>%1 demo</source>
        <translation>%1-Demo</translation>
    </message>
</context>
<context>
    <name>ergosphere::AttentionLens</name>
    <message>
        <source>Cell under the pointer</source>
        <translation>Zelle unter dem Zeiger</translation>
    </message>
    <message>
        <source>Layer and attention</source>
        <translation>Schicht und Attention</translation>
    </message>
    <message>
        <source>Which attention ([ and ] step through the layers)</source>
        <translation>Welche Attention ([ und ] gehen durch die Schichten)</translation>
    </message>
    <message>
        <source>Head</source>
        <translation>Kopf</translation>
    </message>
    <message>
        <source>Which head (comma and period step)</source>
        <translation>Welcher Kopf (Komma und Punkt gehen weiter)</translation>
    </message>
    <message>
        <source>Colour map</source>
        <translation>Farbtafel</translation>
    </message>
    <message>
        <source>Colours of the picture</source>
        <translation>Farben des Bildes</translation>
    </message>
    <message>
        <source>Fit</source>
        <translation>Einpassen</translation>
    </message>
    <message>
        <source>Show the whole map (F)</source>
        <translation>Die ganze Karte zeigen (F)</translation>
    </message>
    <message>
        <source>Heads</source>
        <translation>Köpfe</translation>
    </message>
    <message>
        <source>Thumbnails of all heads (double click one to show it alone)</source>
        <translation>Alle Köpfe im Kleinen (Doppelklick zeigt einen allein)</translation>
    </message>
    <message>
        <source>Attention</source>
        <translation>Attention</translation>
    </message>
    <message>
        <source>Here stands who looks at whom, live, for every layer and head.
Open a model first: drop it on the window or take one from the library.</source>
        <translation>Hier steht, wer wen ansieht, live, für jede Schicht und jeden Kopf.
Öffne zuerst ein Modell: Zieh es auf das Fenster oder nimm eines aus der Bibliothek.</translation>
    </message>
    <message>
        <source>This model has no attention to look at.</source>
        <translation>Dieses Modell hat keine Attention, die man ansehen könnte.</translation>
    </message>
    <message>
        <source>Here stands who looks at whom.
Write a message, and the map grows with every token.</source>
        <translation>Hier steht, wer wen ansieht.
Schreib eine Nachricht, und die Karte wächst mit jedem Token.</translation>
    </message>
    <message>
        <source>The attention of %1 is being captured …</source>
        <translation>Die Attention von %1 wird erfasst …</translation>
    </message>
    <message>
        <source>all heads</source>
        <translation>alle Köpfe</translation>
    </message>
    <message>
        <source>head %1</source>
        <translation>Kopf %1</translation>
    </message>
    <message>
        <source>weight</source>
        <translation>Gewicht</translation>
    </message>
    <message>
        <source>This token&apos;s row has not been captured yet.</source>
        <translation>Die Zeile dieses Tokens ist noch nicht erfasst.</translation>
    </message>
    <message>
        <source>%1 looks most at %2; as spread out as %3 of %4 keys.</source>
        <translation>%1 sieht am meisten auf %2; so breit verteilt wie %3 von %4 Schlüsseln.</translation>
    </message>
    <message>
        <source>Scale</source>
        <translation>Skala</translation>
    </message>
    <message>
        <source>Weights, or how many times an even look at all keys: heads that spread widely look blank otherwise</source>
        <translation>Gewichte, oder das Wievielfache eines gleichmäßigen Blicks auf alle Schlüssel: breit verteilte Köpfe sehen sonst leer aus</translation>
    </message>
    <message>
        <source>× uniform</source>
        <translation>× gleichmäßig</translation>
    </message>
    <message>
        <source>log2 × uniform</source>
        <translation>log2 × gleichmäßig</translation>
    </message>
</context>
<context>
    <name>ergosphere::BackendPopup</name>
    <message>
        <source>discrete GPU</source>
        <translation>eigenständige Grafikkarte</translation>
    </message>
    <message>
        <source>integrated GPU</source>
        <translation>eingebaute Grafikeinheit</translation>
    </message>
    <message>
        <source>GPU of a virtual machine</source>
        <translation>Grafikeinheit einer virtuellen Maschine</translation>
    </message>
    <message>
        <source>software device, slow, for tests</source>
        <translation>Gerät aus Software, langsam, für Tests</translation>
    </message>
    <message>
        <source>processor</source>
        <translation>Prozessor</translation>
    </message>
    <message>
        <source>device of another kind</source>
        <translation>Gerät anderer Art</translation>
    </message>
    <message>
        <source>Backend</source>
        <translation>Backend</translation>
    </message>
    <message>
        <source>Run it on, from the next token:</source>
        <translation>Ab dem nächsten Token rechnet:</translation>
    </message>
    <message>
        <source>Looking for devices…</source>
        <translation>Geräte werden gesucht …</translation>
    </message>
    <message>
        <source>Diagnostics and timings…</source>
        <translation>Diagnose und Zeiten …</translation>
    </message>
    <message>
        <source>Kind</source>
        <translation>Art</translation>
    </message>
    <message>
        <source>Driver</source>
        <translation>Treiber</translation>
    </message>
    <message>
        <source>Memory</source>
        <translation>Speicher</translation>
    </message>
    <message>
        <source>%1, %2 of it free</source>
        <translation>%1, davon %2 frei</translation>
    </message>
    <message>
        <source>Taken by the model</source>
        <translation>Vom Modell belegt</translation>
    </message>
    <message>
        <source>Features</source>
        <translation>Fähigkeiten</translation>
    </message>
    <message>
        <source>Why this one</source>
        <translation>Warum dieses</translation>
    </message>
    <message>
        <source>Choose by itself</source>
        <translation>Von selbst wählen</translation>
    </message>
    <message>
        <source>A GPU with room for the model, else the CPU</source>
        <translation>Eine Grafikkarte mit Platz für das Modell, sonst die CPU</translation>
    </message>
    <message>
        <source>CPU</source>
        <translation>CPU</translation>
    </message>
    <message>
        <source>%1 is only taken by name (%2)</source>
        <translation>%1 wird nur auf Wunsch genommen (%2)</translation>
    </message>
    <message>
        <source>%1 cannot be used (%2)</source>
        <translation>%1 ist nicht brauchbar (%2)</translation>
    </message>
    <message>
        <source>%1 has no room (%2 needed for %3 tokens, %4 there)</source>
        <translation>%1 hat keinen Platz (nötig sind %2 für %3 Token, da sind %4)</translation>
    </message>
    <message>
        <source>There is no Vulkan device on this machine.</source>
        <translation>Auf diesem Rechner ist kein Vulkan-Gerät.</translation>
    </message>
    <message>
        <source>It was asked for by name.</source>
        <translation>Es wurde so verlangt.</translation>
    </message>
    <message>
        <source>%1 has room for it (%2).</source>
        <translation>%1 hat Platz dafür (%2).</translation>
    </message>
    <message>
        <source>No GPU is taken: %1.</source>
        <translation>Keine Grafikkarte: %1.</translation>
    </message>
    <message>
        <source>%1 reads %2 and writes %3 tokens/s, the CPU %4 and %5.</source>
        <translation>%1 liest %2 und schreibt %3 Tokens/s, die CPU %4 und %5.</translation>
    </message>
    <message>
        <source>The CPU answers until the kernels of %1 are compiled.</source>
        <translation>Die CPU antwortet, bis die Kernel von %1 übersetzt sind.</translation>
    </message>
    <message>
        <source>Both</source>
        <translation>Beide</translation>
    </message>
    <message>
        <source>One reads prompts and the other writes, in the order that a short measurement finds faster</source>
        <translation>Eines liest die Eingabe, das andere schreibt, so herum, wie es eine kurze Messung schneller findet</translation>
    </message>
</context>
<context>
    <name>ergosphere::BackgroundJob</name>
    <message>
        <source>There is not enough memory for this.</source>
        <translation>Dafür reicht der Speicher nicht.</translation>
    </message>
</context>
<context>
    <name>ergosphere::ChangesPanel</name>
    <message>
        <source>What is changed</source>
        <translation>Was geändert wird</translation>
    </message>
    <message>
        <source>A parameter (* stands for any layer, [3] behind it for one head) or a knob, as ergo --set has it</source>
        <translation>Ein Parameter (* steht für jede Schicht, [3] dahinter für einen Kopf) oder ein Knopf (knob), wie bei ergo --set</translation>
    </message>
    <message>
        <source>is set to</source>
        <translation>wird</translation>
    </message>
    <message>
        <source>is multiplied by</source>
        <translation>wird mal</translation>
    </message>
    <message>
        <source>How it is changed</source>
        <translation>Wie es geändert wird</translation>
    </message>
    <message>
        <source>New value</source>
        <translation>Neuer Wert</translation>
    </message>
    <message>
        <source>Add</source>
        <translation>Hinzufügen</translation>
    </message>
    <message>
        <source>Changes of the model</source>
        <translation>Änderungen am Modell</translation>
    </message>
    <message>
        <source>Remove</source>
        <translation>Entfernen</translation>
    </message>
    <message>
        <source>Takes the selected change back (Del)</source>
        <translation>Nimmt die gewählte Änderung zurück (Entf)</translation>
    </message>
    <message>
        <source>Reset</source>
        <translation>Zurücksetzen</translation>
    </message>
    <message>
        <source>The model is again as its file has it</source>
        <translation>Das Modell ist wieder so, wie es in der Datei steht</translation>
    </message>
    <message>
        <source>Open recipe…</source>
        <translation>Rezept öffnen …</translation>
    </message>
    <message>
        <source>Save recipe…</source>
        <translation>Rezept sichern …</translation>
    </message>
    <message>
        <source>Nothing is changed: the model is as its file has it.</source>
        <translation>Nichts ist geändert: Das Modell ist so, wie es in der Datei steht.</translation>
    </message>
    <message>
        <source>The model is altered.</source>
        <translation>Das Modell ist verändert.</translation>
    </message>
    <message>
        <source>The knob is %1 now; another value opens the model anew.</source>
        <translation>Der Knopf steht jetzt auf %1; ein anderer Wert öffnet das Modell neu.</translation>
    </message>
    <message>
        <source>In the file: %1 values, all %2.</source>
        <translation>In der Datei: %1 Werte, alle %2.</translation>
    </message>
    <message>
        <source>In the file: %1 values, %2 to %3.</source>
        <translation>In der Datei: %1 Werte, von %2 bis %3.</translation>
    </message>
</context>
<context>
    <name>ergosphere::ChatPanel</name>
    <message>
        <source>Text</source>
        <translation>Text</translation>
    </message>
    <message>
        <source>Running text (Ctrl+T switches)</source>
        <translation>Fließtext (Strg+T wechselt)</translation>
    </message>
    <message>
        <source>Tokens</source>
        <translation>Token</translation>
    </message>
    <message>
        <source>Token by token, with spaces and markers (Ctrl+T switches)</source>
        <translation>Token für Token, mit Leerzeichen und Markern (Strg+T wechselt)</translation>
    </message>
    <message>
        <source>Sampling: %1</source>
        <translation>Sampling: %1</translation>
    </message>
</context>
<context>
    <name>ergosphere::Composer</name>
    <message>
        <source>Send</source>
        <translation>Senden</translation>
    </message>
    <message>
        <source>Send the message (Enter)</source>
        <translation>Die Nachricht senden (Eingabe)</translation>
    </message>
    <message>
        <source>Stop</source>
        <translation>Anhalten</translation>
    </message>
    <message>
        <source>Stop writing (Esc)</source>
        <translation>Das Schreiben anhalten (Esc)</translation>
    </message>
    <message>
        <source>Regenerate</source>
        <translation>Neu schreiben</translation>
    </message>
    <message>
        <source>Write the last reply again (Ctrl+R)</source>
        <translation>Die letzte Antwort noch einmal schreiben (Strg+R)</translation>
    </message>
    <message>
        <source>Sampling</source>
        <translation>Sampling</translation>
    </message>
    <message>
        <source>How the next token is chosen, and the system prompt</source>
        <translation>Wie das nächste Token gewählt wird, und der System-Prompt</translation>
    </message>
    <message>
        <source>Open a model to begin</source>
        <translation>Öffne ein Modell, um anzufangen</translation>
    </message>
    <message>
        <source>The model is writing…</source>
        <translation>Das Modell schreibt …</translation>
    </message>
    <message>
        <source>Write to the model, Enter sends</source>
        <translation>Schreib dem Modell, Eingabe sendet</translation>
    </message>
    <message>
        <source>Change the model: temperatures, radii, masses, masks, knobs (Ctrl+I)</source>
        <translation>Das Modell ändern: Temperaturen, Radien, Massen, Masken, Knöpfe (Strg+I)</translation>
    </message>
    <message>
        <source>Interventions</source>
        <translation>Eingriffe</translation>
    </message>
    <message>
        <source>Interventions: %1</source>
        <translation>Eingriffe: %1</translation>
    </message>
</context>
<context>
    <name>ergosphere::ComposerField</name>
    <message>
        <source>Message</source>
        <translation>Nachricht</translation>
    </message>
</context>
<context>
    <name>ergosphere::ContextMeter</name>
    <message>
        <source>Context: %1. Nothing is dropped by itself; when it is full the reply ends.</source>
        <translation>Kontext: %1. Nichts wird von selbst verworfen; ist er voll, endet die Antwort.</translation>
    </message>
    <message>
        <source>No model is open</source>
        <translation>Kein Modell ist offen</translation>
    </message>
    <message>
        <source>Context</source>
        <translation>Kontext</translation>
    </message>
    <message>
        <source>%1 of %2 tokens</source>
        <translation>%1 von %2 Token</translation>
    </message>
</context>
<context>
    <name>ergosphere::ConversationController</name>
    <message>
        <source>The context is full: with this message the conversation is %1 tokens long and the model holds %2, a reply included. Shorten the message or start a new chat (Ctrl+N).</source>
        <translation>Der Kontext ist voll: Mit dieser Nachricht ist das Gespräch %1 Token lang, das Modell fasst %2, eine Antwort eingeschlossen. Kürze die Nachricht oder beginne einen neuen Chat (Strg+N).</translation>
    </message>
    <message>
        <source>The reply reached the limit of %1 tokens set under Sampling.</source>
        <translation>Die Antwort hat die unter Sampling gesetzte Grenze von %1 Token erreicht.</translation>
    </message>
    <message>
        <source>The context is full (%1 of %2 tokens), so the reply ends here. Regenerate offers to make room, Ctrl+N starts a new chat.</source>
        <translation>Der Kontext ist voll (%1 von %2 Token), darum endet die Antwort hier. „Neu schreiben“ bietet an, Platz zu schaffen, Strg+N beginnt ein neues Gespräch.</translation>
    </message>
    <message>
        <source>branch: </source>
        <translation>Zweig: </translation>
    </message>
    <message>
        <source>Open a model first.</source>
        <translation>Öffne erst ein Modell.</translation>
    </message>
</context>
<context>
    <name>ergosphere::DepthLens</name>
    <message>
        <source>Weight under the pointer</source>
        <translation>Gewicht unter dem Zeiger</translation>
    </message>
    <message>
        <source>Depth</source>
        <translation>Tiefe</translation>
    </message>
    <message>
        <source>Here stands which earlier layers every attention, every MLP and the output read.</source>
        <translation>Hier steht, welche früheren Schichten jede Attention, jedes MLP und die Ausgabe lesen.</translation>
    </message>
    <message>
        <source>Open a model first.</source>
        <translation>Zuerst ein Modell öffnen.</translation>
    </message>
    <message>
        <source>This model has no attention over depth: every layer reads the sum of all earlier ones.</source>
        <translation>Dieses Modell hat keine Attention über die Tiefe: Jede Schicht liest die Summe aller früheren.</translation>
    </message>
    <message>
        <source>Write a message, and the map follows every token.</source>
        <translation>Eine Nachricht schreiben, und die Karte folgt jedem Token.</translation>
    </message>
    <message>
        <source>Depth weights for %1</source>
        <translation>Tiefengewichte für %1</translation>
    </message>
    <message>
        <source>Depth weights on average</source>
        <translation>Tiefengewichte im Mittel</translation>
    </message>
    <message>
        <source>Nothing has been captured for this token yet.</source>
        <translation>Für dieses Token ist noch nichts erfasst.</translation>
    </message>
    <message>
        <source>The output reads %1. Over all readers the %2 keeps %3 %.</source>
        <translation>Die Ausgabe liest %1. Über alle Leser behält %2 %3 %.</translation>
    </message>
</context>
<context>
    <name>ergosphere::DepthPicture</name>
    <message>
        <source>Depth weights: blocks of layers by their readers</source>
        <translation>Tiefengewichte: Blöcke von Schichten nach ihren Lesern</translation>
    </message>
    <message>
        <source>Click a column for its tokens below; the topmost cell of a column is the sum still open</source>
        <translation>Klick auf eine Spalte zeigt darunter ihre Tokens; die oberste Zelle einer Spalte ist die noch offene Summe</translation>
    </message>
    <message>
        <source>%1 reads %2 (still open): %3 %</source>
        <translation>%1 liest %2 (noch offen): %3 %</translation>
    </message>
    <message>
        <source>%1 reads %2: %3 %</source>
        <translation>%1 liest %2: %3 %</translation>
    </message>
    <message>
        <source>not captured yet</source>
        <translation>noch nicht erfasst</translation>
    </message>
    <message>
        <source>out</source>
        <translation>aus</translation>
    </message>
    <message>
        <source>%1, token by token</source>
        <translation>%1, Token für Token</translation>
    </message>
</context>
<context>
    <name>ergosphere::DeveloperDialog</name>
    <message>
        <source>Backend diagnostics</source>
        <translation>Diagnose des Backends</translation>
    </message>
    <message>
        <source>One kernel after the other</source>
        <translation>Ein Kernel nach dem anderen</translation>
    </message>
    <message>
        <source>Every kernel waits for the one before: does a wrong number go away?</source>
        <translation>Jeder Kernel wartet auf den vorigen: Verschwindet eine falsche Zahl?</translation>
    </message>
    <message>
        <source>One kernel an operation</source>
        <translation>Ein Kernel je Rechenschritt</translation>
    </message>
    <message>
        <source>Operations are computed as the plan has them, none split or joined</source>
        <translation>Die Rechenschritte laufen wie im Plan, keiner geteilt oder zusammengelegt</translation>
    </message>
    <message>
        <source>Validation layer</source>
        <translation>Prüfschicht</translation>
    </message>
    <message>
        <source>The Khronos validation layer checks every call; needs to be installed</source>
        <translation>Die Prüfschicht von Khronos prüft jeden Aufruf; sie muss installiert sein</translation>
    </message>
    <message>
        <source>Operation</source>
        <translation>Rechenschritt</translation>
    </message>
    <message>
        <source>Kernel</source>
        <translation>Rechenkern</translation>
    </message>
    <message>
        <source>µs a token</source>
        <translation>µs je Token</translation>
    </message>
    <message>
        <source>Share</source>
        <translation>Anteil</translation>
    </message>
    <message>
        <source>Time of every operation of a token, slowest first</source>
        <translation>Zeit jedes Rechenschritts eines Tokens, der langsamste zuerst</translation>
    </message>
    <message>
        <source>The validation layer has said nothing.</source>
        <translation>Die Prüfschicht hat nichts gemeldet.</translation>
    </message>
    <message>
        <source>Messages of the validation layer</source>
        <translation>Meldungen der Prüfschicht</translation>
    </message>
    <message>
        <source>No model is open</source>
        <translation>Kein Modell ist offen</translation>
    </message>
    <message>
        <source>Switches take effect on the next token. While this page is open every operation is timed, one after the other, which is slower than running freely.</source>
        <translation>Die Schalter wirken ab dem nächsten Token. Solange diese Seite offen ist, wird jeder Rechenschritt einzeln gemessen; das ist langsamer als der freie Lauf.</translation>
    </message>
    <message>
        <source>The switches are for Vulkan devices; the model runs on the CPU.</source>
        <translation>Die Schalter gelten für Vulkan-Geräte; das Modell rechnet auf der CPU.</translation>
    </message>
    <message>
        <source>%1 %</source>
        <translation>%1 %</translation>
    </message>
    <message>
        <source>Nothing beyond Vulkan 1.2</source>
        <translation>Nichts über Vulkan 1.2 hinaus</translation>
    </message>
    <message>
        <source>Kernels do without what this device has besides: integer dot products, a subgroup size of choice</source>
        <translation>Die Kernel verzichten auf das, was dieses Gerät darüber hinaus kann: ganzzahlige Skalarprodukte, eine gewählte Subgroup-Größe</translation>
    </message>
    <message>
        <source>No cooperative matrices</source>
        <translation>Keine kooperativen Matrizen</translation>
    </message>
    <message>
        <source>The CPU has none</source>
        <translation>Der Prozessor hat keine</translation>
    </message>
</context>
<context>
    <name>ergosphere::DropBanner</name>
    <message>
        <source>Leave them out</source>
        <translation>Weglassen</translation>
    </message>
    <message>
        <source>They stay in the conversation, only the model is no longer given them (Enter)</source>
        <translation>Sie bleiben im Gespräch, nur das Modell bekommt sie nicht mehr (Eingabe)</translation>
    </message>
    <message>
        <source>Keep everything</source>
        <translation>Alles behalten</translation>
    </message>
    <message>
        <source>Nothing is sent (Esc)</source>
        <translation>Nichts wird gesendet (Esc)</translation>
    </message>
    <message>
        <source>The context is full: the conversation is %1 tokens long and the model holds %2, a reply included. Without the oldest %3 messages it is %4, which frees %5.</source>
        <translation>Der Kontext ist voll: Das Gespräch ist %1 Token lang, und das Modell fasst %2, die Antwort mitgerechnet. Ohne die ältesten %3 Nachrichten sind es %4, das macht %5 frei.</translation>
    </message>
    <message>
        <source>… and %1 more</source>
        <translation>… und %1 weitere</translation>
    </message>
</context>
<context>
    <name>ergosphere::FigureDialog</name>
    <message>
        <source>Export figure</source>
        <translation>Abbildung exportieren</translation>
    </message>
    <message>
        <source>PDF, vector</source>
        <translation>PDF, Vektor</translation>
    </message>
    <message>
        <source>SVG, vector</source>
        <translation>SVG, Vektor</translation>
    </message>
    <message>
        <source>PNG, pixels</source>
        <translation>PNG, Pixel</translation>
    </message>
    <message>
        <source>CSV, the numbers</source>
        <translation>CSV, die Zahlen</translation>
    </message>
    <message>
        <source>custom</source>
        <translation>eigene</translation>
    </message>
    <message>
        <source> mm</source>
        <translation> mm</translation>
    </message>
    <message>
        <source> pt</source>
        <translation> pt</translation>
    </message>
    <message>
        <source> dpi</source>
        <translation> dpi</translation>
    </message>
    <message>
        <source>none</source>
        <translation>keine</translation>
    </message>
    <message>
        <source>Choose…</source>
        <translation>Wählen …</translation>
    </message>
    <message>
        <source>Format</source>
        <translation>Format</translation>
    </message>
    <message>
        <source>Width</source>
        <translation>Breite</translation>
    </message>
    <message>
        <source>Resolution</source>
        <translation>Auflösung</translation>
    </message>
    <message>
        <source>Type</source>
        <translation>Schrift</translation>
    </message>
    <message>
        <source>Colour map</source>
        <translation>Farbtafel</translation>
    </message>
    <message>
        <source>Title</source>
        <translation>Titel</translation>
    </message>
    <message>
        <source>File</source>
        <translation>Datei</translation>
    </message>
    <message>
        <source>Export</source>
        <translation>Exportieren</translation>
    </message>
    <message>
        <source>The numbers of the view, one row a line, with the token texts.</source>
        <translation>Die Zahlen der Ansicht, eine Zeile je Reihe, mit den Texten der Token.</translation>
    </message>
    <message>
        <source>%1 pixels wide.</source>
        <translation>%1 Pixel breit.</translation>
    </message>
    <message>
        <source>Paper is white whatever the theme. Large matrices are kept as one lossless image.</source>
        <translation>Papier ist weiß, gleich welches Thema. Große Matrizen werden als ein verlustfreies Bild abgelegt.</translation>
    </message>
    <message>
        <source>NPZ, numbers and look</source>
        <translation>NPZ, Zahlen und Aussehen</translation>
    </message>
    <message>
        <source>Width in millimetres</source>
        <translation>Breite in Millimetern</translation>
    </message>
    <message>
        <source>Copy</source>
        <translation>Kopieren</translation>
    </message>
    <message>
        <source>Puts the figure on the clipboard instead of into a file</source>
        <translation>Legt die Abbildung in die Zwischenablage statt in eine Datei</translation>
    </message>
    <message>
        <source>Arrays for NumPy; `ergo figure FILE.npz -o FIGURE.pdf` draws the figure from it.</source>
        <translation>Felder für NumPy; `ergo figure DATEI.npz -o BILD.pdf` zeichnet daraus die Abbildung.</translation>
    </message>
</context>
<context>
    <name>ergosphere::FilePanel</name>
    <message>
        <source>SHA-256 is being computed …</source>
        <translation>SHA-256 wird berechnet …</translation>
    </message>
    <message>
        <source>SHA-256 of %1</source>
        <translation>SHA-256 von %1</translation>
    </message>
    <message>
        <source>Files</source>
        <translation>Dateien</translation>
    </message>
    <message>
        <source>Licence text</source>
        <translation>Lizenztext</translation>
    </message>
    <message>
        <source>No licence lies with the files.</source>
        <translation>Bei den Dateien liegt keine Lizenz.</translation>
    </message>
    <message>
        <source>Licence: %1 (%2)</source>
        <translation>Lizenz: %1 (%2)</translation>
    </message>
    <message>
        <source>SHA-256 was not computed</source>
        <translation>SHA-256 wurde nicht berechnet</translation>
    </message>
</context>
<context>
    <name>ergosphere::HeadGrid</name>
    <message>
        <source>Heads</source>
        <translation>Köpfe</translation>
    </message>
    <message>
        <source>all heads averaged</source>
        <translation>alle Köpfe gemittelt</translation>
    </message>
    <message>
        <source>head %1 of %2</source>
        <translation>Kopf %1 von %2</translation>
    </message>
    <message>
        <source>all</source>
        <translation>alle</translation>
    </message>
    <message>
        <source>All heads averaged</source>
        <translation>Alle Köpfe gemittelt</translation>
    </message>
    <message>
        <source>Head %1</source>
        <translation>Kopf %1</translation>
    </message>
    <message>
        <source> — double click or Enter shows it alone; comma and period step</source>
        <translation> — Doppelklick oder Eingabe zeigt ihn allein; Komma und Punkt gehen weiter</translation>
    </message>
</context>
<context>
    <name>ergosphere::HeadsLens</name>
    <message>
        <source>Head under the pointer</source>
        <translation>Kopf unter dem Zeiger</translation>
    </message>
    <message>
        <source>Ball radius · keys inside for %1</source>
        <translation>Kugelradius · Schlüssel darin für %1</translation>
    </message>
    <message>
        <source>Ball radius · keys inside on average</source>
        <translation>Kugelradius · Schlüssel darin im Mittel</translation>
    </message>
    <message>
        <source>Radius from %1 to %2</source>
        <translation>Radius von %1 bis %2</translation>
    </message>
    <message>
        <source>%1. How many keys lie inside is known as soon as tokens have been read.</source>
        <translation>%1. Wie viele Schlüssel darin liegen, steht fest, sobald Token gelesen sind.</translation>
    </message>
    <message>
        <source>%1; %2 % of the keys lie inside, fewest (%3 %) for %4.</source>
        <translation>%1; %2 % der Schlüssel liegen darin, am wenigsten (%3 %) bei %4.</translation>
    </message>
    <message>
        <source>What is shown of every head</source>
        <translation>Was von jedem Kopf gezeigt wird</translation>
    </message>
    <message>
        <source>Heads</source>
        <translation>Köpfe</translation>
    </message>
    <message>
        <source>Ball radius</source>
        <translation>Kugelradius</translation>
    </message>
    <message>
        <source>Gravity mass</source>
        <translation>Gravitationsmasse</translation>
    </message>
    <message>
        <source>Drift of the mass</source>
        <translation>Drift der Masse</translation>
    </message>
    <message>
        <source>Concentration horizon</source>
        <translation>Konzentrationshorizont</translation>
    </message>
    <message>
        <source>Alpha</source>
        <translation>Alpha</translation>
    </message>
    <message>
        <source>Here stands what every head of the model has of its own: the radius of its ball and how many keys lie inside, or its gravity mass.
Open a model first.</source>
        <translation>Hier steht, was jeder Kopf des Modells für sich hat: den Radius seiner Kugel und wie viele Schlüssel darin liegen, oder seine Gravitationsmasse.
Öffne zuerst ein Modell.</translation>
    </message>
    <message>
        <source>The heads of this model have neither balls nor masses: nothing sets them apart but their matrices.</source>
        <translation>Die Köpfe dieses Modells haben weder Kugeln noch Massen: Nur ihre Matrizen unterscheiden sie.</translation>
    </message>
    <message>
        <source>Gravity mass M of every head</source>
        <translation>Gravitationsmasse M jedes Kopfes</translation>
    </message>
    <message>
        <source>Drift of the mass from its usual start %1</source>
        <translation>Drift der Masse von ihrem üblichen Anfang %1</translation>
    </message>
    <message>
        <source>Concentration horizon e^(M²/ε), ε = %1</source>
        <translation>Konzentrationshorizont e^(M²/ε), ε = %1</translation>
    </message>
    <message>
        <source>Alpha of every head</source>
        <translation>Alpha jedes Kopfes</translation>
    </message>
    <message>
        <source>Alpha from %1 to %2: the factor of a head&apos;s scores before the softmax.</source>
        <translation>Alpha von %1 bis %2: der Faktor der Scores eines Kopfes vor dem Softmax.</translation>
    </message>
    <message>
        <source>Masses have moved by %1 to %2 since their usual start; %3 farthest.</source>
        <translation>Die Massen haben sich seit ihrem üblichen Anfang um %1 bis %2 bewegt; am weitesten %3.</translation>
    </message>
    <message>
        <source>A key on top of its query outweighs %1 to %2 far keys, most at %3. Below a few hundred a head cannot single out one key of a long text.</source>
        <translation>Ein Schlüssel, der auf seiner Anfrage liegt, wiegt %1 bis %2 ferne Schlüssel auf, am meisten bei %3. Unter einigen Hundert kann ein Kopf keinen einzelnen Schlüssel eines langen Textes herausheben.</translation>
    </message>
    <message>
        <source>Mass from %1 to %2, heaviest at %3, where a key on top of its query outweighs %4 far keys.</source>
        <translation>Masse von %1 bis %2, am schwersten bei %3, wo ein Schlüssel auf seiner Anfrage %4 ferne Schlüssel aufwiegt.</translation>
    </message>
</context>
<context>
    <name>ergosphere::HeadsPicture</name>
    <message>
        <source>Click selects the head in every lens; arrows walk over the cells</source>
        <translation>Ein Klick wählt den Kopf in jeder Linse; die Pfeiltasten gehen über die Zellen</translation>
    </message>
    <message>
        <source>%1, %2 % of the keys inside</source>
        <translation>%1, %2 % der Schlüssel darin</translation>
    </message>
    <message>
        <source>One value of every head</source>
        <translation>Ein Wert jedes Kopfes</translation>
    </message>
    <message>
        <source>%1 · head %2</source>
        <translation>%1 · Kopf %2</translation>
    </message>
    <message>
        <source>%1: outweighs %2 far keys</source>
        <translation>%1: wiegt %2 ferne Schlüssel auf</translation>
    </message>
    <message>
        <source>%1: mass moved by %2</source>
        <translation>%1: Masse um %2 bewegt</translation>
    </message>
    <message>
        <source>%1: mass %2</source>
        <translation>%1: Masse %2</translation>
    </message>
    <message>
        <source>%1: alpha %2</source>
        <translation>%1: Alpha %2</translation>
    </message>
    <message>
        <source>%1: radius %2</source>
        <translation>%1: Radius %2</translation>
    </message>
</context>
<context>
    <name>ergosphere::HistogramView</name>
    <message>
        <source>Histogram</source>
        <translation>Histogramm</translation>
    </message>
    <message>
        <source>Histogram of %1</source>
        <translation>Histogramm von %1</translation>
    </message>
    <message>
        <source>Values from %1 to %2, mean %3, deviation %4.</source>
        <translation>Werte von %1 bis %2, Mittel %3, Streuung %4.</translation>
    </message>
</context>
<context>
    <name>ergosphere::Lens</name>
    <message>
        <source>What would be here</source>
        <translation>Was hier stünde</translation>
    </message>
    <message>
        <source>What is shown</source>
        <translation>Was gezeigt wird</translation>
    </message>
    <message>
        <source>In words</source>
        <translation>In Worten</translation>
    </message>
    <message>
        <source>Measured on</source>
        <translation>Gemessen auf</translation>
    </message>
    <message>
        <source>What computed these numbers, and whether they are the run&apos;s own</source>
        <translation>Was diese Zahlen berechnet hat, und ob es die des Laufs selbst sind</translation>
    </message>
    <message>
        <source>recomputed</source>
        <translation>nachgerechnet</translation>
    </message>
    <message>
        <source>live from the run</source>
        <translation>live aus dem Lauf</translation>
    </message>
    <message>
        <source>altered model: %1</source>
        <translation>verändertes Modell: %1</translation>
    </message>
</context>
<context>
    <name>ergosphere::LensData</name>
    <message>
        <source>1 thread</source>
        <translation>1 Thread</translation>
    </message>
    <message>
        <source>%1 threads</source>
        <translation>%1 Threads</translation>
    </message>
    <message>
        <source>weights rounded to %1</source>
        <translation>Gewichte auf %1 gerundet</translation>
    </message>
    <message>
        <source>keys and values rounded to %1</source>
        <translation>Schlüssel und Werte auf %1 gerundet</translation>
    </message>
</context>
<context>
    <name>ergosphere::LibraryPanel</name>
    <message>
        <source>Models</source>
        <translation>Modelle</translation>
    </message>
    <message>
        <source>Chats</source>
        <translation>Chats</translation>
    </message>
    <message>
        <source>Conversations are kept here after the first reply.</source>
        <translation>Gespräche stehen hier nach der ersten Antwort.</translation>
    </message>
    <message>
        <source>Open…</source>
        <translation>Öffnen …</translation>
    </message>
    <message>
        <source>Open a model folder or file (Ctrl+O)</source>
        <translation>Einen Modellordner oder eine Datei öffnen (Strg+O)</translation>
    </message>
    <message>
        <source>New</source>
        <translation>Neu</translation>
    </message>
    <message>
        <source>Begin a new chat (Ctrl+N)</source>
        <translation>Einen neuen Chat beginnen (Strg+N)</translation>
    </message>
    <message>
        <source>loaded · %1</source>
        <translation>geladen · %1</translation>
    </message>
    <message>
        <source>, loaded</source>
        <translation>, geladen</translation>
    </message>
    <message>
        <source>built in</source>
        <translation>eingebaut</translation>
    </message>
    <message>
        <source>Open</source>
        <translation>Öffnen</translation>
    </message>
    <message>
        <source>Delete</source>
        <translation>Löschen</translation>
    </message>
    <message>
        <source>Remove from this list</source>
        <translation>Aus dieser Liste entfernen</translation>
    </message>
    <message>
        <source>, shown</source>
        <translation>, gezeigt</translation>
    </message>
    <message>
        <source>Show</source>
        <translation>Zeigen</translation>
    </message>
    <message>
        <source>Close</source>
        <translation>Schließen</translation>
    </message>
</context>
<context>
    <name>ergosphere::MainWindow</name>
    <message>
        <source>Model</source>
        <translation>Modell</translation>
    </message>
    <message>
        <source>Something went wrong inside the program: %1</source>
        <translation>Im Programm ist etwas schiefgegangen: %1</translation>
    </message>
    <message>
        <source>Library</source>
        <translation>Bibliothek</translation>
    </message>
    <message>
        <source>Opening the model…</source>
        <translation>Das Modell wird geöffnet …</translation>
    </message>
    <message>
        <source>This checkpoint has no tokenizer, so it reads token ids only (ergo logits, ergo trace)</source>
        <translation>Dieser Checkpoint hat keinen Tokenizer und liest darum nur Token-Nummern (ergo logits, ergo trace)</translation>
    </message>
    <message>
        <source>Open a model to begin (Ctrl+O)</source>
        <translation>Öffne ein Modell, um anzufangen (Strg+O)</translation>
    </message>
    <message>
        <source>No model is open</source>
        <translation>Kein Modell ist offen</translation>
    </message>
    <message>
        <source>Drop a model&apos;s folder or its weights file on this window, or choose one in the library. The files are used in place: nothing is copied, changed or sent anywhere.</source>
        <translation>Zieh den Ordner eines Modells oder seine Gewichtsdatei auf dieses Fenster oder wähle eines in der Bibliothek. Die Dateien werden benutzt, wo sie liegen: Nichts wird kopiert, verändert oder irgendwohin gesendet.</translation>
    </message>
    <message>
        <source>You</source>
        <translation>Du</translation>
    </message>
    <message>
        <source>Prompt</source>
        <translation>Prompt</translation>
    </message>
    <message>
        <source>%1 goes on</source>
        <translation>%1 setzt fort</translation>
    </message>
    <message>
        <source>A model small enough to watch</source>
        <translation>Ein Modell, klein genug zum Zusehen</translation>
    </message>
    <message>
        <source>It was trained for this program: it solves linear equations, adds and subtracts, and explains what you see here. Ask something, then click a token of the answer: the lenses follow.</source>
        <translation>Es wurde für dieses Programm trainiert: Es löst lineare Gleichungen, addiert und subtrahiert und erklärt (auf Englisch), was du hier siehst. Frag etwas und klick dann auf ein Token der Antwort: Die Linsen folgen.</translation>
    </message>
    <message>
        <source>%1 is ready</source>
        <translation>%1 ist bereit</translation>
    </message>
    <message>
        <source>%1 has no tokenizer</source>
        <translation>%1 hat keinen Tokenizer</translation>
    </message>
    <message>
        <source>To talk to it, drop its tokenizer.json on this window.</source>
        <translation>Um mit ihm zu sprechen, zieh seine tokenizer.json auf dieses Fenster.</translation>
    </message>
    <message>
        <source>Write below. While it answers, the lenses show what every token looks at.</source>
        <translation>Schreib unten. Während es antwortet, zeigen die Linsen, was jedes Token ansieht.</translation>
    </message>
    <message>
        <source>It has no chat format, so it continues the text you write below.</source>
        <translation>Es hat kein Chat-Format und setzt darum den Text fort, den du unten schreibst.</translation>
    </message>
    <message>
        <source>Deleted “%1”.</source>
        <translation>„%1“ gelöscht.</translation>
    </message>
    <message>
        <source>Undo</source>
        <translation>Rückgängig</translation>
    </message>
    <message>
        <source>&amp;File</source>
        <translation>&amp;Datei</translation>
    </message>
    <message>
        <source>&amp;Open model folder…</source>
        <translation>Modell&amp;ordner öffnen …</translation>
    </message>
    <message>
        <source>Open weights &amp;file…</source>
        <translation>&amp;Gewichtsdatei öffnen …</translation>
    </message>
    <message>
        <source>&amp;Export figure…</source>
        <translation>Abbildung &amp;exportieren …</translation>
    </message>
    <message>
        <source>&amp;Screenshot…</source>
        <translation>&amp;Bildschirmfoto …</translation>
    </message>
    <message>
        <source>Se&amp;ttings…</source>
        <translation>&amp;Einstellungen …</translation>
    </message>
    <message>
        <source>&amp;Quit</source>
        <translation>&amp;Beenden</translation>
    </message>
    <message>
        <source>&amp;Chat</source>
        <translation>&amp;Chat</translation>
    </message>
    <message>
        <source>&amp;New chat</source>
        <translation>&amp;Neuer Chat</translation>
    </message>
    <message>
        <source>&amp;Stop</source>
        <translation>&amp;Anhalten</translation>
    </message>
    <message>
        <source>&amp;Regenerate</source>
        <translation>Neu &amp;schreiben</translation>
    </message>
    <message>
        <source>&amp;Write</source>
        <translation>S&amp;chreiben</translation>
    </message>
    <message>
        <source>Select &amp;tokens</source>
        <translation>&amp;Token auswählen</translation>
    </message>
    <message>
        <source>&amp;View</source>
        <translation>&amp;Ansicht</translation>
    </message>
    <message>
        <source>&amp;Library</source>
        <translation>&amp;Bibliothek</translation>
    </message>
    <message>
        <source>Token by &amp;token</source>
        <translation>&amp;Token für Token</translation>
    </message>
    <message>
        <source>Router &amp;ribbon</source>
        <translation>Router-&amp;Band</translation>
    </message>
    <message>
        <source>Show %1</source>
        <translation>%1 zeigen</translation>
    </message>
    <message>
        <source>Reset la&amp;yout</source>
        <translation>A&amp;nordnung zurücksetzen</translation>
    </message>
    <message>
        <source>&amp;Help</source>
        <translation>&amp;Hilfe</translation>
    </message>
    <message>
        <source>&amp;Shortcuts and gestures</source>
        <translation>&amp;Tasten und Gesten</translation>
    </message>
    <message>
        <source>&amp;About Ergosphere</source>
        <translation>Ü&amp;ber Ergosphere</translation>
    </message>
    <message>
        <source>Open a model&apos;s folder</source>
        <translation>Den Ordner eines Modells öffnen</translation>
    </message>
    <message>
        <source>Open a weights file</source>
        <translation>Eine Gewichtsdatei öffnen</translation>
    </message>
    <message>
        <source>Weights (*.safetensors *.bin *.pt *.pth *.ckpt *.zst *.gguf *.index.json)</source>
        <translation>Gewichte (*.safetensors *.bin *.pt *.pth *.ckpt *.zst *.gguf *.index.json)</translation>
    </message>
    <message>
        <source>All files (*)</source>
        <translation>Alle Dateien (*)</translation>
    </message>
    <message>
        <source>mean</source>
        <translation>mittel</translation>
    </message>
    <message>
        <source>head %1</source>
        <translation>Kopf %1</translation>
    </message>
    <message>
        <source>The lens %1 has nothing to export yet. Ask the model something first.</source>
        <translation>Die Linse %1 hat noch nichts zu exportieren. Frag das Modell zuerst etwas.</translation>
    </message>
    <message>
        <source>Wrote %1.</source>
        <translation>%1 geschrieben.</translation>
    </message>
    <message>
        <source>Copy path</source>
        <translation>Pfad kopieren</translation>
    </message>
    <message>
        <source>Copied a picture of %1 × %2 pixels.</source>
        <translation>Ein Bild von %1 × %2 Pixeln kopiert.</translation>
    </message>
    <message>
        <source>About Ergosphere</source>
        <translation>Über Ergosphere</translation>
    </message>
    <message>
        <source>&lt;b&gt;Ergosphere %1&lt;/b&gt;</source>
        <translation>&lt;b&gt;Ergosphere %1&lt;/b&gt;</translation>
    </message>
    <message>
        <source>A laboratory for language models whose attention has a geometry. Free software under the GNU General Public License, version 3 or later, without any warranty. It works offline: nothing leaves this machine.</source>
        <translation>Ein Labor für Sprachmodelle, deren Attention eine Geometrie hat. Freie Software unter der GNU General Public License, Version 3 oder später, ohne jede Gewähr. Es arbeitet ohne Netz: Nichts verlässt diesen Rechner.</translation>
    </message>
    <message>
        <source>No lens is open. Press 1, 2, 3 or 4 to open one.</source>
        <translation>Keine Linse ist offen. 1, 2, 3 oder 4 öffnet eine.</translation>
    </message>
    <message>
        <source>Lenses</source>
        <translation>Linsen</translation>
    </message>
    <message>
        <source>&amp;Next open model</source>
        <translation>&amp;Nächstes offenes Modell</translation>
    </message>
    <message>
        <source>&amp;Close model</source>
        <translation>Modell s&amp;chließen</translation>
    </message>
    <message>
        <source>The figure is on the clipboard.</source>
        <translation>Die Abbildung liegt in der Zwischenablage.</translation>
    </message>
    <message>
        <source>There is not enough memory for a picture of this size; choose a smaller one.</source>
        <translation>Für ein Bild dieser Größe reicht der Speicher nicht; wählen Sie ein kleineres.</translation>
    </message>
    <message>
        <source>Backend &amp;diagnostics</source>
        <translation>&amp;Diagnose des Backends</translation>
    </message>
    <message>
        <source>The graphics device failed; the CPU goes on from the same token.</source>
        <translation>Das Grafikgerät ist ausgefallen; die CPU macht beim selben Token weiter.</translation>
    </message>
    <message>
        <source>The model now runs on %1.</source>
        <translation>Das Modell rechnet jetzt auf %1.</translation>
    </message>
    <message>
        <source>&amp;Interventions</source>
        <translation>&amp;Eingriffe</translation>
    </message>
    <message>
        <source>Open a recipe</source>
        <translation>Ein Rezept öffnen</translation>
    </message>
    <message>
        <source>Recipes (*.json)</source>
        <translation>Rezepte (*.json)</translation>
    </message>
    <message>
        <source>Save the recipe</source>
        <translation>Das Rezept sichern</translation>
    </message>
    <message>
        <source>Drop to open</source>
        <translation>Zum Öffnen loslassen</translation>
    </message>
</context>
<context>
    <name>ergosphere::MatrixView</name>
    <message>
        <source>Attention heatmap</source>
        <translation>Attention-Karte</translation>
    </message>
    <message>
        <source>Click locks a token, Shift+click pins a second one. Wheel zooms, drag pans, F fits.
Arrows: token, [ ]: layer, comma and period: head, R: range</source>
        <translation>Klick hält ein Token fest, Umschalt+Klick heftet ein zweites an. Das Rad zoomt, Ziehen schiebt, F passt ein.
Pfeile: Token, [ ]: Schicht, Komma und Punkt: Kopf, R: Bereich</translation>
    </message>
    <message>
        <source>%1 cannot look at %2: it comes later</source>
        <translation>%1 kann %2 nicht ansehen: Es kommt später</translation>
    </message>
    <message>
        <source>%1: not captured yet</source>
        <translation>%1: noch nicht erfasst</translation>
    </message>
    <message>
        <source>%1 looks at %2: %3 %4, rank %5 of %6</source>
        <translation>%1 sieht auf %2: %3 %4, Rang %5 von %6</translation>
    </message>
    <message>
        <source>%1 does not look at %2</source>
        <translation>%1 sieht nicht auf %2</translation>
    </message>
</context>
<context>
    <name>ergosphere::MemoryPage</name>
    <message>
        <source>unknown</source>
        <translation>unbekannt</translation>
    </message>
    <message>
        <source>Context in tokens</source>
        <translation>Kontext in Tokens</translation>
    </message>
    <message>
        <source> tokens</source>
        <translation> Tokens</translation>
    </message>
    <message>
        <source>For a context of</source>
        <translation>Für einen Kontext von</translation>
    </message>
    <message>
        <source>total</source>
        <translation>zusammen</translation>
    </message>
    <message>
        <source>can be had now</source>
        <translation>jetzt verfügbar</translation>
    </message>
    <message>
        <source>weights held as</source>
        <translation>Gewichte gehalten als</translation>
    </message>
    <message>
        <source>Memory for a context of %1 tokens</source>
        <translation>Speicher für einen Kontext von %1 Token</translation>
    </message>
    <message>
        <source>main memory</source>
        <translation>Hauptspeicher</translation>
    </message>
    <message>
        <source>%1: too little.</source>
        <translation>%1: zu wenig.</translation>
    </message>
    <message>
        <source>A context of %1 tokens would fit into main memory.</source>
        <translation>Ein Kontext von %1 Token würde in den Hauptspeicher passen.</translation>
    </message>
    <message>
        <source>Load uses these settings. A shorter context needs less memory; weights as they are stored are used in place, out of the file, as far as the backend can.</source>
        <translation>Laden verwendet diese Einstellungen. Ein kürzerer Kontext braucht weniger Speicher; Gewichte werden, wie sie gespeichert sind, an Ort und Stelle aus der Datei verwendet, soweit das Backend es kann.</translation>
    </message>
    <message>
        <source>keys and values held as</source>
        <translation>Schlüssel und Werte gehalten als</translation>
    </message>
    <message>
        <source>%1: keys and values are kept in f32 there alone.</source>
        <translation>%1: Schlüssel und Werte werden dort nur in f32 gehalten.</translation>
    </message>
</context>
<context>
    <name>ergosphere::MessageBar</name>
    <message>
        <source>Copy</source>
        <translation>Kopieren</translation>
    </message>
    <message>
        <source>Details</source>
        <translation>Einzelheiten</translation>
    </message>
    <message>
        <source>Close</source>
        <translation>Schließen</translation>
    </message>
</context>
<context>
    <name>ergosphere::ModelCard</name>
    <message>
        <source>Reading the headers…</source>
        <translation>Die Köpfe der Dateien werden gelesen …</translation>
    </message>
    <message>
        <source>Load</source>
        <translation>Laden</translation>
    </message>
    <message>
        <source>Load anyway</source>
        <translation>Trotzdem laden</translation>
    </message>
    <message>
        <source>Leaves out the tensors that no role claims; the numbers may then be wrong</source>
        <translation>Lässt die Tensoren weg, die keine Rolle haben; die Zahlen können dann falsch sein</translation>
    </message>
    <message>
        <source>Copy</source>
        <translation>Kopieren</translation>
    </message>
    <message>
        <source>Report</source>
        <translation>Bericht</translation>
    </message>
    <message>
        <source>Also noticed</source>
        <translation>Außerdem bemerkt</translation>
    </message>
    <message>
        <source>Family</source>
        <translation>Familie</translation>
    </message>
    <message>
        <source>Layers · heads · width</source>
        <translation>Schichten · Köpfe · Breite</translation>
    </message>
    <message>
        <source>Vocabulary</source>
        <translation>Vokabular</translation>
    </message>
    <message>
        <source>%1 tokens</source>
        <translation>%1 Token</translation>
    </message>
    <message>
        <source>Context</source>
        <translation>Kontext</translation>
    </message>
    <message>
        <source>Weights</source>
        <translation>Gewichte</translation>
    </message>
    <message>
        <source>%1, %2 in one file</source>
        <translation>%1, %2 in einer Datei</translation>
    </message>
    <message>
        <source>%1, %2 in %3 files</source>
        <translation>%1, %2 in %3 Dateien</translation>
    </message>
    <message>
        <source>Rounded</source>
        <translation>Gerundet</translation>
    </message>
    <message>
        <source>Tokenizer</source>
        <translation>Tokenizer</translation>
    </message>
    <message>
        <source>none: token ids only</source>
        <translation>keiner: nur Token-Nummern</translation>
    </message>
    <message>
        <source>Chat format</source>
        <translation>Chat-Format</translation>
    </message>
    <message>
        <source>none</source>
        <translation>keine</translation>
    </message>
    <message>
        <source>Licence</source>
        <translation>Lizenz</translation>
    </message>
    <message>
        <source>not found</source>
        <translation>nicht gefunden</translation>
    </message>
    <message>
        <source>total</source>
        <translation>zusammen</translation>
    </message>
    <message>
        <source>Parameters</source>
        <translation>Parameter</translation>
    </message>
    <message>
        <source>Worth knowing</source>
        <translation>Wissenswert</translation>
    </message>
    <message>
        <source>In short</source>
        <translation>In Kürze</translation>
    </message>
    <message>
        <source>Model card</source>
        <translation>Modellkarte</translation>
    </message>
    <message>
        <source>This checkpoint holds tensors that the model does not use. What is open already stays open.</source>
        <translation>Dieser Checkpoint enthält Tensoren, die das Modell nicht verwendet. Was schon offen ist, bleibt offen.</translation>
    </message>
    <message>
        <source>This cannot be opened. What is open already stays open.</source>
        <translation>Das lässt sich nicht öffnen. Was schon offen ist, bleibt offen.</translation>
    </message>
    <message>
        <source>Tensors</source>
        <translation>Tensoren</translation>
    </message>
    <message>
        <source>Files</source>
        <translation>Dateien</translation>
    </message>
    <message>
        <source>Why</source>
        <translation>Warum</translation>
    </message>
    <message>
        <source>How it was recognised, and what was taken for granted</source>
        <translation>Woran es erkannt wurde und was angenommen wird</translation>
    </message>
    <message>
        <source>Copies what this card says</source>
        <translation>Kopiert, was diese Karte sagt</translation>
    </message>
    <message>
        <source>Overview</source>
        <translation>Überblick</translation>
    </message>
    <message>
        <source>being read …</source>
        <translation>wird gelesen …</translation>
    </message>
    <message>
        <source>It would run with these settings:</source>
        <translation>Es liefe mit diesen Einstellungen:</translation>
    </message>
    <message>
        <source>These weights are called gravity, but their masses are not there. What is open already stays open.</source>
        <translation>Diese Gewichte heißen Gravity, aber ihre Massen fehlen. Was offen ist, bleibt offen.</translation>
    </message>
    <message>
        <source>Runs them under ordinary attention; weights adapted to gravity write nonsense then</source>
        <translation>Rechnet mit gewöhnlicher Attention; an Gravity angepasste Gewichte schreiben dann Unsinn</translation>
    </message>
    <message>
        <source>The model cannot be used with the %1. What is open already stays open.</source>
        <translation>Damit kann das Modell nicht benutzt werden: %1. Was schon offen ist, bleibt offen.</translation>
    </message>
    <message>
        <source>Without what is attached</source>
        <translation>Ohne das Beigefügte</translation>
    </message>
    <message>
        <source>Shows the model as it is in its own folder</source>
        <translation>Zeigt das Modell so, wie es in seinem Ordner liegt</translation>
    </message>
    <message>
        <source>Attached</source>
        <translation>Beigefügt</translation>
    </message>
    <message>
        <source>Settings and memory</source>
        <translation>Einstellungen und Speicher</translation>
    </message>
</context>
<context>
    <name>ergosphere::ProgressRow</name>
    <message>
        <source>Progress</source>
        <translation>Fortschritt</translation>
    </message>
    <message>
        <source>Cancel</source>
        <translation>Abbrechen</translation>
    </message>
    <message>
        <source>, %1 min left</source>
        <translation>, noch %1 min</translation>
    </message>
    <message>
        <source>, %1 s left</source>
        <translation>, noch %1 s</translation>
    </message>
</context>
<context>
    <name>ergosphere::RangeBar</name>
    <message>
        <source>Colour range</source>
        <translation>Farbbereich</translation>
    </message>
    <message>
        <source>Values in the picture (heights are logarithmic). Drag the black and white points; R or a double click fits them.
Arrow keys move the white point, with Shift the black one.</source>
        <translation>Werte im Bild (Höhen logarithmisch). Schwarz- und Weißpunkt lassen sich ziehen; R oder ein Doppelklick passt sie ein.
Pfeiltasten bewegen den Weißpunkt, mit Umschalt den Schwarzpunkt.</translation>
    </message>
    <message>
        <source>%1 from %2 to %3</source>
        <translation>%1 von %2 bis %3</translation>
    </message>
    <message>
        <source>auto</source>
        <translation>auto</translation>
    </message>
    <message>
        <source>R fits</source>
        <translation>R passt ein</translation>
    </message>
</context>
<context>
    <name>ergosphere::RibbonLegend</name>
    <message>
        <source>The ribbon under the text: how much of each path every token took, in the layer being looked at. From left to right: %1.</source>
        <translation>Das Band unter dem Text: wie viel von jedem Pfad ein Token genommen hat, in der betrachteten Schicht. Von links nach rechts: %1.</translation>
    </message>
</context>
<context>
    <name>ergosphere::RouterLens</name>
    <message>
        <source>Token under the pointer</source>
        <translation>Token unter dem Zeiger</translation>
    </message>
    <message>
        <source>Only %1 in full colour</source>
        <translation>Nur %1 in voller Farbe</translation>
    </message>
    <message>
        <source>A branch of HyperFFN</source>
        <translation>Ein Zweig von HyperFFN</translation>
    </message>
    <message>
        <source>Router</source>
        <translation>Router</translation>
    </message>
    <message>
        <source>Here stands which path every token takes through every layer.
Open a model first.</source>
        <translation>Hier steht, welchen Pfad jedes Token durch jede Schicht nimmt.
Öffne zuerst ein Modell.</translation>
    </message>
    <message>
        <source>This model has no routers: every token takes the same way.</source>
        <translation>Dieses Modell hat keine Router: Jedes Token nimmt denselben Weg.</translation>
    </message>
    <message>
        <source>Here stands which path every token takes through every layer.
Write a message, and the strips grow with every token.</source>
        <translation>Hier steht, welchen Pfad jedes Token durch jede Schicht nimmt.
Schreib eine Nachricht, und die Streifen wachsen mit jedem Token.</translation>
    </message>
    <message>
        <source>Shares of the paths, layer by layer</source>
        <translation>Anteile der Pfade, Schicht für Schicht</translation>
    </message>
    <message>
        <source>Nothing has been captured for this token yet.</source>
        <translation>Für dieses Token ist noch nichts erfasst.</translation>
    </message>
    <message>
        <source>%1 takes %2 % of %3 over all layers, then %4.</source>
        <translation>%1 nimmt %2 % von %3 über alle Schichten, dann %4.</translation>
    </message>
    <message>
        <source>%1 takes %2 % on average over %3 tokens, then %4.</source>
        <translation>%1 nimmt im Mittel %2 % über %3 Token, dann %4.</translation>
    </message>
</context>
<context>
    <name>ergosphere::RouterPicture</name>
    <message>
        <source>Router shares over tokens</source>
        <translation>Router-Anteile über die Token</translation>
    </message>
    <message>
        <source>Click locks a token, Shift+click pins a second one, arrows step</source>
        <translation>Klick hält ein Token fest, Umschalt+Klick heftet ein zweites an, Pfeile gehen weiter</translation>
    </message>
    <message>
        <source>not captured yet</source>
        <translation>noch nicht erfasst</translation>
    </message>
</context>
<context>
    <name>ergosphere::RunTypesPanel</name>
    <message>
        <source>mean KL %1 nats from the original, logits differ by up to %2 (over %3 tokens)</source>
        <translation>mittlere KL %1 nats vom Original, Logits weichen um bis zu %2 ab (über %3 Token)</translation>
    </message>
    <message>
        <source>Weights</source>
        <translation>Gewichte</translation>
    </message>
    <message>
        <source>What the weight matrices are rounded to while they are loaded. With bf16 and f16 the inputs of prompts are rounded to 16 bits too, which makes prompts about half again as fast; q8 and q4 take less memory and write faster.</source>
        <translation>Worauf die Gewichtsmatrizen beim Laden gerundet werden. Mit bf16 und f16 werden auch die Eingaben eines Prompts auf 16 Bit gerundet, was ihn etwa anderthalbmal so schnell macht; q8 und q4 brauchen weniger Speicher und schreiben schneller.</translation>
    </message>
    <message>
        <source>as stored</source>
        <translation>wie gespeichert</translation>
    </message>
    <message>
        <source>keys and values</source>
        <translation>Schlüssel und Werte</translation>
    </message>
    <message>
        <source>bf16 and q8 make room for a longer context; the CPU alone has them.</source>
        <translation>bf16 und q8 machen Platz für einen längeren Kontext; nur die CPU kann sie.</translation>
    </message>
    <message>
        <source>Measure the cost</source>
        <translation>Kosten messen</translation>
    </message>
    <message>
        <source>Opens the model twice, as it is stored and as it is chosen here, and compares what both predict over fixed texts, on the CPU</source>
        <translation>Öffnet das Modell zweimal, wie es gespeichert und wie es hier gewählt ist, und vergleicht auf der CPU, was beide über festen Texten vorhersagen</translation>
    </message>
    <message>
        <source>Cost of rounding</source>
        <translation>Kosten des Rundens</translation>
    </message>
</context>
<context>
    <name>ergosphere::SamplingPanel</name>
    <message>
        <source>Preset</source>
        <translation>Vorgabe</translation>
    </message>
    <message>
        <source>Temperature</source>
        <translation>Temperatur</translation>
    </message>
    <message>
        <source>0 always takes the most likely token</source>
        <translation>0 nimmt immer das wahrscheinlichste Token</translation>
    </message>
    <message>
        <source>Top-p</source>
        <translation>Top-p</translation>
    </message>
    <message>
        <source>Keeps the most likely tokens up to this probability; 1 is off</source>
        <translation>Behält die wahrscheinlichsten Token bis zu dieser Wahrscheinlichkeit; 1 ist aus</translation>
    </message>
    <message>
        <source>Min-p</source>
        <translation>Min-p</translation>
    </message>
    <message>
        <source>Drops tokens less likely than this times the most likely one; 0 is off</source>
        <translation>Verwirft Token, die weniger wahrscheinlich sind als dies mal das wahrscheinlichste; 0 ist aus</translation>
    </message>
    <message>
        <source>Repeat penalty</source>
        <translation>Wiederholungsstrafe</translation>
    </message>
    <message>
        <source>Above 1 makes recent tokens less likely; 1 is off</source>
        <translation>Über 1 macht jüngste Token unwahrscheinlicher; 1 ist aus</translation>
    </message>
    <message>
        <source>off</source>
        <translation>aus</translation>
    </message>
    <message>
        <source>Top-k</source>
        <translation>Top-k</translation>
    </message>
    <message>
        <source>Most tokens of a reply</source>
        <translation>Höchstzahl der Token einer Antwort</translation>
    </message>
    <message>
        <source>Seed</source>
        <translation>Startwert</translation>
    </message>
    <message>
        <source>The same seed gives the same reply</source>
        <translation>Derselbe Startwert gibt dieselbe Antwort</translation>
    </message>
    <message>
        <source>System prompt</source>
        <translation>System-Prompt</translation>
    </message>
    <message>
        <source>none</source>
        <translation>keine</translation>
    </message>
    <message>
        <source>Max tokens</source>
        <translation>Höchstens Token</translation>
    </message>
    <message>
        <source>System</source>
        <translation>System</translation>
    </message>
    <message>
        <source>Custom</source>
        <translation>Eigene</translation>
    </message>
    <message>
        <source>Your own values.</source>
        <translation>Deine eigenen Werte.</translation>
    </message>
    <message>
        <source>this model has no chat format</source>
        <translation>dieses Modell hat kein Chat-Format</translation>
    </message>
    <message>
        <source>Greedy</source>
        <translation>gierig</translation>
    </message>
    <message>
        <source>Temperature %1</source>
        <translation>Temperatur %1</translation>
    </message>
    <message>
        <source>top-p %1</source>
        <translation>Top-p %1</translation>
    </message>
    <message>
        <source>top-k %1</source>
        <translation>Top-k %1</translation>
    </message>
    <message>
        <source>min-p %1</source>
        <translation>Min-p %1</translation>
    </message>
</context>
<context>
    <name>ergosphere::ScreenshotDialog</name>
    <message>
        <source>Screenshot</source>
        <translation>Bildschirmfoto</translation>
    </message>
    <message>
        <source>the window</source>
        <translation>das Fenster</translation>
    </message>
    <message>
        <source>the lens</source>
        <translation>die Linse</translation>
    </message>
    <message>
        <source>the lens %1</source>
        <translation>die Linse %1</translation>
    </message>
    <message>
        <source>file</source>
        <translation>Datei</translation>
    </message>
    <message>
        <source>clipboard</source>
        <translation>Zwischenablage</translation>
    </message>
    <message>
        <source>Choose…</source>
        <translation>Wählen …</translation>
    </message>
    <message>
        <source>Picture of</source>
        <translation>Bild von</translation>
    </message>
    <message>
        <source>Size</source>
        <translation>Größe</translation>
    </message>
    <message>
        <source>To</source>
        <translation>Nach</translation>
    </message>
    <message>
        <source>File</source>
        <translation>Datei</translation>
    </message>
    <message>
        <source>Take picture</source>
        <translation>Aufnehmen</translation>
    </message>
</context>
<context>
    <name>ergosphere::SettingsDialog</name>
    <message>
        <source>Settings</source>
        <translation>Einstellungen</translation>
    </message>
    <message>
        <source>As the system</source>
        <translation>Wie das System</translation>
    </message>
    <message>
        <source>Light</source>
        <translation>Hell</translation>
    </message>
    <message>
        <source>Dark</source>
        <translation>Dunkel</translation>
    </message>
    <message>
        <source>Nothing moves by itself</source>
        <translation>Nichts bewegt sich von selbst</translation>
    </message>
    <message>
        <source>Choose by itself</source>
        <translation>Von selbst wählen</translation>
    </message>
    <message>
        <source>CPU</source>
        <translation>CPU</translation>
    </message>
    <message>
        <source>Vulkan</source>
        <translation>Vulkan</translation>
    </message>
    <message>
        <source>one a core</source>
        <translation>einer je Kern</translation>
    </message>
    <message>
        <source>Theme</source>
        <translation>Thema</translation>
    </message>
    <message>
        <source>Motion</source>
        <translation>Bewegung</translation>
    </message>
    <message>
        <source>Backend</source>
        <translation>Backend</translation>
    </message>
    <message>
        <source>CPU threads</source>
        <translation>CPU-Threads</translation>
    </message>
    <message>
        <source>keep each on a processor of its own</source>
        <translation>jeden auf einem eigenen Prozessor halten</translation>
    </message>
    <message>
        <source>Texts, buttons and pictures; on top of what the desktop asks for</source>
        <translation>Texte, Knöpfe und Bilder; zusätzlich zu dem, was der Desktop vorgibt</translation>
    </message>
    <message>
        <source>The size holds from the next start, the engine&apos;s settings from the next model that is opened.</source>
        <translation>Die Größe gilt ab dem nächsten Start, die Einstellungen der Engine ab dem nächsten Modell, das geöffnet wird.</translation>
    </message>
    <message>
        <source>Size</source>
        <translation>Größe</translation>
    </message>
</context>
<context>
    <name>ergosphere::ShortcutSheet</name>
    <message>
        <source>Shortcuts and gestures</source>
        <translation>Tasten und Gesten</translation>
    </message>
    <message>
        <source>Enter</source>
        <translation>Eingabe</translation>
    </message>
    <message>
        <source>send the message</source>
        <translation>die Nachricht senden</translation>
    </message>
    <message>
        <source>Shift+Enter</source>
        <translation>Umschalt+Eingabe</translation>
    </message>
    <message>
        <source>new line in the message</source>
        <translation>neue Zeile in der Nachricht</translation>
    </message>
    <message>
        <source>Esc</source>
        <translation>Esc</translation>
    </message>
    <message>
        <source>stop writing; else release the selected token</source>
        <translation>das Schreiben anhalten, sonst das gewählte Token loslassen</translation>
    </message>
    <message>
        <source>Click on a token</source>
        <translation>Klick auf ein Token</translation>
    </message>
    <message>
        <source>select it in every view</source>
        <translation>in jeder Ansicht auswählen</translation>
    </message>
    <message>
        <source>Shift+click</source>
        <translation>Umschalt+Klick</translation>
    </message>
    <message>
        <source>pin a second token</source>
        <translation>ein zweites Token anheften</translation>
    </message>
    <message>
        <source>Arrow keys</source>
        <translation>Pfeiltasten</translation>
    </message>
    <message>
        <source>next token, next line</source>
        <translation>nächstes Token, nächste Zeile</translation>
    </message>
    <message>
        <source>Home, End</source>
        <translation>Pos1, Ende</translation>
    </message>
    <message>
        <source>first, last token</source>
        <translation>erstes, letztes Token</translation>
    </message>
    <message>
        <source>[ ]</source>
        <translation>[ ]</translation>
    </message>
    <message>
        <source>previous, next layer</source>
        <translation>vorige, nächste Schicht</translation>
    </message>
    <message>
        <source>, .</source>
        <translation>, .</translation>
    </message>
    <message>
        <source>previous, next head</source>
        <translation>voriger, nächster Kopf</translation>
    </message>
    <message>
        <source>Double-click on a head</source>
        <translation>Doppelklick auf einen Kopf</translation>
    </message>
    <message>
        <source>show it alone</source>
        <translation>allein zeigen</translation>
    </message>
    <message>
        <source>Wheel, drag, F</source>
        <translation>Rad, Ziehen, F</translation>
    </message>
    <message>
        <source>zoom, pan, fit a heatmap</source>
        <translation>eine Karte zoomen, schieben, einpassen</translation>
    </message>
    <message>
        <source>R</source>
        <translation>R</translation>
    </message>
    <message>
        <source>fit the colour range</source>
        <translation>den Farbbereich einpassen</translation>
    </message>
    <message>
        <source>Enter on a token</source>
        <translation>Eingabe auf einem Token</translation>
    </message>
    <message>
        <source>take another token instead</source>
        <translation>ein anderes Token stattdessen nehmen</translation>
    </message>
</context>
<context>
    <name>ergosphere::TensorModel</name>
    <message>
        <source>one number</source>
        <translation>eine Zahl</translation>
    </message>
    <message>
        <source>1 tensor</source>
        <translation>1 Tensor</translation>
    </message>
    <message>
        <source>%1 tensors</source>
        <translation>%1 Tensoren</translation>
    </message>
    <message>
        <source>Tensor</source>
        <translation>Tensor</translation>
    </message>
    <message>
        <source>Shape</source>
        <translation>Form</translation>
    </message>
    <message>
        <source>Type</source>
        <translation>Typ</translation>
    </message>
    <message>
        <source>Size</source>
        <translation>Größe</translation>
    </message>
    <message>
        <source>Mean</source>
        <translation>Mittel</translation>
    </message>
    <message>
        <source>Smallest</source>
        <translation>Kleinster</translation>
    </message>
    <message>
        <source>Largest</source>
        <translation>Größter</translation>
    </message>
    <message>
        <source>Values</source>
        <translation>Werte</translation>
    </message>
</context>
<context>
    <name>ergosphere::TensorPanel</name>
    <message>
        <source>Filter, for example layers.*.attn</source>
        <translation>Filter, zum Beispiel layers.*.attn</translation>
    </message>
    <message>
        <source>Filter tensors by name</source>
        <translation>Tensoren nach Namen filtern</translation>
    </message>
    <message>
        <source>Tensors</source>
        <translation>Tensoren</translation>
    </message>
    <message>
        <source>Select a tensor to measure it.</source>
        <translation>Einen Tensor auswählen, um ihn zu messen.</translation>
    </message>
    <message>
        <source>Measure all shown</source>
        <translation>Alle gezeigten messen</translation>
    </message>
    <message>
        <source>Reads all weights that are shown, once</source>
        <translation>Liest alle gezeigten Gewichte einmal</translation>
    </message>
    <message>
        <source>%1 of %2</source>
        <translation>%1 von %2</translation>
    </message>
    <message>
        <source>%1
mean %2, deviation %3
from %4 to %5, %6 values, %7 zeros</source>
        <translation>%1
Mittel %2, Streuung %3
von %4 bis %5, %6 Werte, %7 Nullen</translation>
    </message>
    <message>
        <source>%1 are not finite</source>
        <translation>%1 sind nicht endlich</translation>
    </message>
    <message>
        <source>More than %1 tensors are shown: filter them first</source>
        <translation>Mehr als %1 Tensoren werden gezeigt: erst filtern</translation>
    </message>
</context>
<context>
    <name>ergosphere::TokenCard</name>
    <message>
        <source>What could stand here</source>
        <translation>Was hier stehen könnte</translation>
    </message>
</context>
<context>
    <name>ergosphere::TopBar</name>
    <message>
        <source>Open a model</source>
        <translation>Ein Modell öffnen</translation>
    </message>
    <message>
        <source>Model: %1</source>
        <translation>Modell: %1</translation>
    </message>
    <message>
        <source>CPU</source>
        <translation>CPU</translation>
    </message>
    <message>
        <source>Family</source>
        <translation>Familie</translation>
    </message>
    <message>
        <source>Parameters</source>
        <translation>Parameter</translation>
    </message>
    <message>
        <source>Layers · heads · width</source>
        <translation>Schichten · Köpfe · Breite</translation>
    </message>
    <message>
        <source>Weights</source>
        <translation>Gewichte</translation>
    </message>
    <message>
        <source>Chat format</source>
        <translation>Chat-Format</translation>
    </message>
    <message>
        <source>none</source>
        <translation>keine</translation>
    </message>
    <message>
        <source>Memory</source>
        <translation>Speicher</translation>
    </message>
    <message>
        <source>Device</source>
        <translation>Gerät</translation>
    </message>
    <message>
        <source>Note</source>
        <translation>Hinweis</translation>
    </message>
    <message>
        <source>Source</source>
        <translation>Quelle</translation>
    </message>
    <message>
        <source>Model card</source>
        <translation>Modellkarte</translation>
    </message>
    <message>
        <source>Open another…</source>
        <translation>Ein anderes öffnen …</translation>
    </message>
    <message>
        <source>%1 tokens/s</source>
        <translation>%1 Token/s</translation>
    </message>
    <message>
        <source>Speed of the reply being written</source>
        <translation>Tempo der Antwort, die geschrieben wird</translation>
    </message>
    <message>
        <source>Speed of the last reply</source>
        <translation>Tempo der letzten Antwort</translation>
    </message>
    <message>
        <source>Open a model folder or file (Ctrl+O)</source>
        <translation>Modellordner oder -datei öffnen (Strg+O)</translation>
    </message>
    <message>
        <source>Show %1</source>
        <translation>%1 zeigen</translation>
    </message>
    <message>
        <source>Close</source>
        <translation>Schließen</translation>
    </message>
    <message>
        <source>Close %1</source>
        <translation>%1 schließen</translation>
    </message>
    <message>
        <source>Also open</source>
        <translation>Ebenfalls offen</translation>
    </message>
    <message>
        <source>Backend: %1</source>
        <translation>Backend: %1</translation>
    </message>
    <message>
        <source>altered</source>
        <translation>verändert</translation>
    </message>
    <message>
        <source>The model is not as its file has it:
%1</source>
        <translation>Das Modell ist nicht so, wie es in der Datei steht:
%1</translation>
    </message>
    <message>
        <source>Altered model: %1</source>
        <translation>Verändertes Modell: %1</translation>
    </message>
    <message>
        <source>%1 reads prompts, %2 writes</source>
        <translation>%1 liest die Eingaben, %2 schreibt</translation>
    </message>
    <message>
        <source>%1, run as %2</source>
        <translation>%1, gerechnet als %2</translation>
    </message>
    <message>
        <source>Keys and values</source>
        <translation>Schlüssel und Werte</translation>
    </message>
</context>
<context>
    <name>ergosphere::Transcript</name>
    <message>
        <source>Transcript</source>
        <translation>Gespräch</translation>
    </message>
    <message>
        <source>position %1 · id %2</source>
        <translation>Position %1 · Nummer %2</translation>
    </message>
    <message>
        <source>probability %1 · surprisal %2 bit</source>
        <translation>Wahrscheinlichkeit %1 · Überraschung %2 bit</translation>
    </message>
    <message>
        <source>No token is selected. Arrow keys select one.</source>
        <translation>Kein Token ist gewählt. Die Pfeiltasten wählen eines.</translation>
    </message>
    <message>
        <source>Token %1 of %2: &apos;%3&apos;</source>
        <translation>Token %1 von %2: „%3“</translation>
    </message>
    <message>
        <source>, probability %1</source>
        <translation>, Wahrscheinlichkeit %1</translation>
    </message>
    <message>
        <source>System</source>
        <translation>System</translation>
    </message>
    <message>
        <source>put here by you</source>
        <translation>von dir gesetzt</translation>
    </message>
    <message>
        <source>%1, left out</source>
        <translation>%1, weggelassen</translation>
    </message>
    <message>
        <source>Take instead of %1</source>
        <translation>Statt %1 nehmen</translation>
    </message>
    <message>
        <source>Take instead</source>
        <translation>Stattdessen nehmen</translation>
    </message>
    <message>
        <source>&amp;Take instead of %1</source>
        <translation>Statt %1 &amp;nehmen</translation>
    </message>
    <message>
        <source>&amp;Copy message</source>
        <translation>Nachricht &amp;kopieren</translation>
    </message>
    <message>
        <source>Copy token &amp;ids</source>
        <translation>Token-&amp;Ids kopieren</translation>
    </message>
    <message>
        <source>%1 · left out</source>
        <translation>%1 · weggelassen</translation>
    </message>
</context>
</TS>
