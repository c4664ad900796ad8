/** What runs for each pixel: enlarging as attnwatch/render/enlarge.py, colours and weights as render/overlay.py and mixture.py. */

/** Words that can be shown together. */
export const MOST_WORDS = 6;

export const VERTEX = `#version 300 es
void main() {
  vec2 corner = vec2(gl_VertexID & 1, gl_VertexID >> 1) * 4.0 - 1.0;
  gl_Position = vec4(corner, 0.0, 1.0);
}`;

export const STYLES = { weighted: 0, uniform: 1, contour: 2, spotlight: 3, mixed: 4 };

/** What red, green and blue add to the luma of a video: ITU-R BT.601 for small ones, BT.709 from 720 lines on. */
export const LUMA = { small: [0.299, 0.587, 0.114], large: [0.2126, 0.7152, 0.0722] };

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
uniform vec3 luma;
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

vec4 tinted(vec2 place) {
  float level = levelOf(0, place);
  float attention = inverted ? 1.0 - level / 255.0 : level / 255.0;
  if (style == ${STYLES.spotlight}) return vec4(vec3(0.0), opacity(alpha * (1.0 - attention)));
  float weight = style == ${STYLES.weighted} ? attention : 1.0;
  return vec4(texelFetch(colours, ivec2(int(level), 0), 0).rgb, opacity(alpha * weight));
}

// How much of a pixel a line of a width covers, in the renderer's degrees.
float covered(float width, float distance) { return floor(clamp(width / 2.0 + 0.5 - distance, 0.0, 1.0) * 42.0 + 0.5) / 42.0; }

// Lines at 25, 50 and 75 %. To first order, the distance from one is the difference in attention divided by the slope.
vec4 contour(vec2 place) {
  vec2 before = max(place - 1.0, 0.5), after = min(place + 1.0, size - 0.5);
  float share = clamp(shareOf(0, place), 0.0, 1.0);
  vec2 rise = vec2(
    shareOf(0, vec2(after.x, place.y)) - shareOf(0, vec2(before.x, place.y)),
    shareOf(0, vec2(place.x, after.y)) - shareOf(0, vec2(place.x, before.y)));
  float slope = length(rise / max(after - before, 1.0));
  float line = clamp(floor(share * 4.0 + 0.5), 1.0, 3.0) / 4.0;
  float distance = slope < 1e-4 ? 1e9 : abs(share - line) / slope;
  float width = max(1.5, size.y / 200.0);
  float inner = covered(width, distance), outer = covered(width + max(2.0, width), distance);
  vec3 colour = texelFetch(colours, ivec2(int(line * 255.0 + 0.5), 0), 0).rgb;
  vec3 outline = vec3(floor(16.5 + 219.0 * dot(colour, luma)) < 126.0 ? 1.0 : 0.0);
  return vec4(mix(outline, colour, inner), opacity(alpha * (inner > 0.0 ? 1.0 : outer)));
}

vec4 shownAt(vec2 place) {
  if (style == ${STYLES.mixed}) return mixture(place);
  return style == ${STYLES.contour} ? contour(place) : tinted(place);
}

// As in a video, two by two pixels share what is not luma (4:2:0): graphics hardware draws them together, and tells what they differ by.
vec3 halved(vec3 chroma) {
  vec2 other = 0.5 - mod(floor(gl_FragCoord.xy), 2.0);
  vec3 across = chroma + other.x * dFdx(chroma);
  return across + other.y * dFdy(across);
}

void main() {
  vec4 shown = shownAt(vec2(gl_FragCoord.x, size.y - gl_FragCoord.y));
  float grey = dot(shown.rgb, luma);
  vec3 colour = grey * shown.a + halved((shown.rgb - grey) * shown.a);
  result = vec4(clamp(colour, 0.0, shown.a), shown.a);
}`;
