/** What runs for each pixel: enlarging as attnwatch/render/enlarge.py, colours and weights as render/overlay.py and mixture.py. */

/** Words that can be shown together. */
export const MOST_WORDS = 6;

export const VERTEX = `#version 300 es
void main() {
  vec2 corner = vec2(gl_VertexID & 1, gl_VertexID >> 1) * 4.0 - 1.0;
  gl_Position = vec4(corner, 0.0, 1.0);
}`;

export const STYLES = { weighted: 0, uniform: 1, signed: 2, mixed: 3 };

export const FRAGMENT = `#version 300 es
precision highp float;
precision highp int;
precision highp sampler2DArray;

uniform sampler2DArray maps;
uniform sampler2D colours;
uniform ivec2 grids[${MOST_WORDS}];
uniform vec3 hues[${MOST_WORDS}];
uniform vec2 size;
uniform int words;
uniform int style;
uniform float alpha;
uniform bool inverted;
uniform bool nearest;
out vec4 result;

float shareOf(int word, vec2 place) {
  ivec2 grid = grids[word];
  vec2 centre = place * vec2(grid) / size;
  if (nearest) return texelFetch(maps, ivec3(min(ivec2(centre), grid - 1), word), 0).r;
  vec2 spread = max(vec2(1.0), vec2(grid) / size);
  ivec2 first = ivec2(floor(centre - 0.5 - spread)) + 1;
  ivec2 taps = ivec2(ceil(2.0 * spread));
  float total = 0.0, weights = 0.0;
  for (int y = 0; y < taps.y; y++) {
    for (int x = 0; x < taps.x; x++) {
      ivec2 cell = first + ivec2(x, y);
      vec2 near = max(vec2(0.0), 1.0 - abs(vec2(cell) - (centre - 0.5)) / spread);
      float weight = near.x * near.y;
      total += weight * texelFetch(maps, ivec3(clamp(cell, ivec2(0), grid - 1), word), 0).r;
      weights += weight;
    }
  }
  return total / weights;
}

// The renderer has 256 levels of attention, and 256 of opacity.
float levelOf(int word, vec2 place) { return floor(clamp(shareOf(word, place), 0.0, 1.0) * 255.0 + 0.5); }
float opacity(float weight) { return floor(weight * 256.0 + 0.5) / 256.0; }

vec4 mixture(vec2 place) {
  float attention[${MOST_WORDS}];
  float highest = 0.0;
  for (int word = 0; word < words; word++) {
    float level = levelOf(word, place) / 255.0;
    attention[word] = inverted ? 1.0 - level : level;
    highest = max(highest, attention[word]);
  }
  vec3 dark = vec3(1.0);
  for (int word = 0; word < words; word++) {
    float share = attention[word] * attention[word] / max(highest * highest, 1e-9);
    dark *= 1.0 - share * hues[word];
  }
  return vec4(1.0 - dark, opacity(alpha * highest));
}

void main() {
  vec2 place = vec2(gl_FragCoord.x, size.y - gl_FragCoord.y);
  vec4 shown;
  if (style == ${STYLES.mixed}) {
    shown = mixture(place);
  } else {
    float level = levelOf(0, place);
    float attention = level / 255.0;
    float weight = 1.0;
    if (style == ${STYLES.weighted}) weight = inverted ? 1.0 - attention : attention;
    if (style == ${STYLES.signed}) weight = min(1.0, abs(level - 127.5) / 127.0);
    shown = vec4(texelFetch(colours, ivec2(int(level), 0), 0).rgb, opacity(alpha * weight));
  }
  result = vec4(shown.rgb * shown.a, shown.a);
}`;
